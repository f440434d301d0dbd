"""An encoder becomes a service: HTTP, in the dialects that clients already speak."""
