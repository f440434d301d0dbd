"""A text classifier: dropout and a dense layer on the pooled output, all of it trained."""

import berthub as hub
import numpy as np
from keras.layers import Dense, Dropout, Input
from keras.models import Model

url = "https://tfhub.dev/tensorflow/bert_en_uncased_L-12_H-768_A-12/4"
texts = ["What a film!", "A waste of two hours.", "I laughed until I cried.", "Dull from start to end."]
labels = np.array([1, 0, 1, 0])

bert_layer = hub.KerasLayer(url, trainable=True)
tokenizer = hub.Tokenizer.from_pretrained(url)

inputs = {
    "input_ids": Input(shape=(None,), dtype="int32", name="input_ids"),
    "attention_mask": Input(shape=(None,), dtype="int32", name="attention_mask"),
}
pooled_output = bert_layer(inputs)["pooled_output"]
dropout = Dropout(0.1)(pooled_output)
output = Dense(1, activation="sigmoid")(dropout)

model = Model(inputs=inputs, outputs=output)
model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
model.summary()

encoded = tokenizer(texts, padding=True, truncation=True, return_tensors="np")
model.fit({name: encoded[name] for name in inputs}, labels, epochs=2, batch_size=4)
