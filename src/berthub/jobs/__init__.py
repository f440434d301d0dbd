"""What is computed on blocks of rows, and handed to a writer; the caller says where rows come from and go to."""
