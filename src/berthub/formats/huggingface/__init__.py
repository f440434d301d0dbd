"""Read and write Hugging Face folders: `config.json`, safetensors and tokenizer files."""
