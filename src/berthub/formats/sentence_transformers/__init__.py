"""Read and write the files of sentence-transformers, which say how a model makes one vector of a text.

`modules.json` lists the modules that a text passes, in their order, each with a folder of its own settings: as a rule
the encoder, a pooling, perhaps dense layers, and a normalization. `sentence_bert_config.json` lies in the encoder's
folder and has the length of texts, `config_sentence_transformers.json` beside `modules.json` has the prompts. What
their versions from 2 to 6 write is read; what berthub does not compute is named in `Embedding.unsupported`.
"""
