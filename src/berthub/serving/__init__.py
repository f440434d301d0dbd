"""A model behind HTTP: requests of many clients, in the dialects that they speak already, are computed together."""
