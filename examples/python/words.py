"""The code of web-endpoint.ts: each function gets a request and gives a response."""

from collections import Counter

import flotilla


def count(request: flotilla.Request) -> object:
    words = request.text().split()
    if not words:
        return flotilla.Response({"error": "send some words"}, status=422)
    return dict(Counter(words))


def spell(request: flotilla.Request) -> flotilla.Response:
    [text] = request.query.get("text", ["nothing"])
    events = (f"data: {word}\n\n" for word in text.split())
    return flotilla.Response(events, headers={"content-type": "text/event-stream"})
