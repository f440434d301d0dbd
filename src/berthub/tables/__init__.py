"""Read and write rows: CSV, TSV, JSON, JSON lines, Parquet, Arrow, CoNLL and text, a block of rows at a time."""
