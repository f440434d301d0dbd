"""Hugging Face folders: `config.json`, safetensors and tokenizer files, read and written."""
