"""The vector of every token of some texts."""

import berthub as hub

url = "https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4"
text = ["This is an example sentence.", "Another sentence here."]

bert_layer = hub.KerasLayer(url)
tokenizer = hub.Tokenizer.from_pretrained(url)

encoded = tokenizer(text, padding=True, truncation=True, return_tensors="tf")
outputs = bert_layer([encoded["input_ids"], encoded["attention_mask"]])

token_encodings = outputs["sequence_output"]
print(token_encodings.shape)  # (2, sequence_length, hidden)
