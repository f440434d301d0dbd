"""Read and write Hugging Face folders: `config.json`, files of weights, tokenizer files."""
