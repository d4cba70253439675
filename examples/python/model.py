"""A tiny model: words that often stand next to each other, learnt once in each container."""

import collections
import json

TEXT = "the cat sat on the mat and the cat ate the fish that lay on the mat"


class Model:
    def __init__(self):
        self.after = collections.defaultdict(collections.Counter)
        words = TEXT.split()
        for word, following in zip(words, words[1:]):
            self.after[word][following] += 1
        print("learnt", len(self.after), "words")

    def predict(self, word):
        if word not in self.after:
            raise ValueError(f"I have never read {json.dumps(word)}")
        return dict(self.after[word].most_common(3))

    def write(self, word, count):
        """Words that follow one another, each yielded as it is found."""
        for _ in range(count):
            yield word
            word = self.after[word].most_common(1)[0][0]
        return f"{count} words"
