"""The official clients of OpenAI and Anthropic through the gate, with two settings changed.

Usage: gate_clients.py TOLLKEEPER
  TOLLKEEPER  the program

A stand-in for both APIs is the upstream. Each client gets the address of the gate as `base_url` and an API
key of a workspace as `api_key`. Every charge must equal the usage that the upstream reported, to the
micro-unit. A refusal for lack of credit must not be sent again by a client.
"""

import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import anthropic
import openai

from tollkeeper_server import KEY, SECONDS, Server

# $0.15 and $0.60 for a million tokens: a dollar is 100,000 micro-units.
INPUT, OUTPUT, PER = 15_000, 60_000, 1_000_000


class Upstream(http.server.BaseHTTPRequestHandler):
    """Answers as the APIs of OpenAI and Anthropic do, with the usage that a script sets."""

    protocol_version = "HTTP/1.1"
    usage = (0, 0)
    requests = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.requests.append((self.path, dict(self.headers), body))
        events = self.anthropic(body) if self.path == "/v1/messages" else self.openai(body)
        if not body.get("stream"):
            self.send_json(events)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        # Chunks of HTTP that are not events: every split must be read.
        stream = "".join(events).encode()
        for at in range(0, len(stream), 37):
            part = stream[at:at + 37]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def send_json(self, answer):
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def openai(self, body):
        used = {"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1],
                "total_tokens": sum(self.usage)}
        common = {"id": "c", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
            return {**common, "object": "chat.completion", "choices": [choice], "usage": used}
        asked = (body.get("stream_options") or {}).get("include_usage")
        chunk = {**common, "object": "chat.completion.chunk", **({"usage": None} if asked else {})}
        choices = [{"index": 0, "delta": {"content": text}, "finish_reason": None} for text in ("Hel", "lo")]
        chunks = [{**chunk, "choices": [choice]} for choice in choices]
        if asked:
            chunks.append({**chunk, "choices": [], "usage": used})
        return [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks] + ["data: [DONE]\n\n"]

    def anthropic(self, body):
        message = {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "stop_sequence": None}
        if not body.get("stream"):
            used = {"input_tokens": self.usage[0], "output_tokens": self.usage[1]}
            content = [{"type": "text", "text": "Hello"}]
            return {**message, "content": content, "stop_reason": "end_turn", "usage": used}
        begun = {**message, "content": [], "stop_reason": None,
                 "usage": {"input_tokens": self.usage[0], "output_tokens": 1}}
        events = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": self.usage[1]}},
            {"type": "message_stop"},
        ]
        return [f"event: {event['type']}\r\ndata: {json.dumps(event)}\r\n\r\n" for event in events]

    def log_message(self, *_):
        pass


def routes(upstream):
    """Routes for both APIs, and one that lowers the output to what is affordable."""
    common = f'''
method = "POST"
operation = "chat"
upstream = "{upstream}"
upstream_key_env = "UPSTREAM_KEY"
max_input = 100_000
max_output = 1_000_000
default_output = 1_000_000
'''
    openai_meters = 'meters = { input = ["/usage/prompt_tokens"], output = ["/usage/completion_tokens"] }'
    anthropic_meters = ('meters = { input = ["/usage/input_tokens", "/message/usage/input_tokens"], '
                        'output = ["/usage/output_tokens", "/message/usage/output_tokens"] }')
    return f'''[gate]
listen = "127.0.0.1:0"
[[gate.routes]]{common}path = "/v1/chat/completions"
dialect = "openai"
{openai_meters}
[[gate.routes]]{common}path = "/fit/chat/completions"
dialect = "openai"
fit = true
fit_min = 10
{openai_meters}
[[gate.routes]]{common}path = "/v1/messages"
dialect = "anthropic"
{anthropic_meters}
'''


class Gate:
    """A gate that runs alone, against a server."""

    def __init__(self, program, directory, server, upstream):
        config = pathlib.Path(directory, "gate.toml")
        config.write_text(routes(upstream), encoding="utf-8")
        environment = {"PATH": os.environ["PATH"], "TOLLKEEPER_PLATFORM_KEY": KEY, "UPSTREAM_KEY": "of-the-upstream"}
        self.log = pathlib.Path(directory, "gate.log")
        with open(self.log, "w", encoding="utf-8") as log:
            command = [program, "gate", "--server", server.url, "--config", str(config)]
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        for _ in range(SECONDS * 10):
            found = re.search(r"gate listening on (http://[0-9.:]+)", self.log.read_text(encoding="utf-8"))
            if found:
                self.url = found[1]
                return
            time.sleep(0.1)
        self.stop()
        raise AssertionError(f"the gate does not start: {self.log.read_text(encoding='utf-8')}")

    def stop(self):
        self.process.terminate()
        return self.process.wait(SECONDS)


def call(server, method, path, body=None):
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        return json.load(response)


def workspace(server, name, credit):
    """A workspace with this much credit; returns an API key of it."""
    server.post("/v1/workspaces", {"id": name, "name": name})
    if credit:
        grant = {"source": "promotional", "amount": credit, "reason": "partners"}
        server.post(f"/v1/workspaces/{name}/grants", grant, "first")
    return server.post(f"/v1/workspaces/{name}/api-keys", {"name": "k", "scopes": ["charge"]})["secret"]


def settled(server, name):
    """What the newest charge cost in the end, once it has an outcome."""
    for _ in range(SECONDS * 20):
        charge = call(server, "GET", f"/v1/workspaces/{name}/charges?limit=1")["data"][0]
        if charge["status"] != "pending":
            return charge["amount"] - charge["refunded_amount"]
        time.sleep(0.05)
    raise AssertionError(f"no outcome: {charge}")


def price(tokens_in, tokens_out):
    """The price of tokens in micro-units, rounded up once."""
    return -(-(tokens_in * INPUT + tokens_out * OUTPUT) // PER)


def counted(base):
    """A client of HTTP of this class that counts the requests that it sends, with those that are sent again."""

    class Counted(base):
        count = 0

        def send(self, request, **options):
            self.count += 1
            return super().send(request, **options)

    return Counted()


MESSAGES = [{"role": "user", "content": "Hello"}]
USAGES = [(1_000_000, 0), (1, 0), (0, 1), (66, 0), (67, 0), (1_234, 567), (999_999, 1), (100_000, 250_000)]


def check_prices(server, gate, key):
    """Both clients, whole and as a stream: the charge is the usage, and the client sees no difference."""
    of_openai = openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key)
    of_anthropic = anthropic.Anthropic(base_url=gate.url, api_key=key)

    def openai_stream():
        chunks = of_openai.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        chunks = list(chunks)
        assert all(chunk.choices for chunk in chunks), "the client had not asked for usage"
        return "".join(chunk.choices[0].delta.content for chunk in chunks)

    def openai_stream_with_usage():
        options = {"include_usage": True}
        chunks = of_openai.chat.completions.create(model="m", messages=MESSAGES, stream=True, stream_options=options)
        chunks = list(chunks)
        assert chunks[-1].usage.prompt_tokens == Upstream.usage[0], chunks[-1]
        return "".join(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)

    def openai_whole():
        answer = of_openai.chat.completions.create(model="m", messages=MESSAGES, max_tokens=300_000)
        assert Upstream.requests[-1][2]["max_tokens"] == 300_000
        return answer.choices[0].message.content

    def anthropic_stream():
        with of_anthropic.messages.stream(model="m", messages=MESSAGES, max_tokens=400_000) as stream:
            return "".join(stream.text_stream)

    def anthropic_whole():
        # Without a stream, the client itself refuses limits for which an answer would take long.
        options = {"model": "m", "messages": MESSAGES, "max_tokens": 400_000, "timeout": SECONDS}
        return of_anthropic.messages.create(**options).content[0].text

    for run in (openai_stream, openai_stream_with_usage, openai_whole, anthropic_stream, anthropic_whole):
        for Upstream.usage in USAGES:
            assert run() == "Hello"
            paid = settled(server, "acme")
            assert paid == price(*Upstream.usage), f"{run.__name__} {Upstream.usage}: {paid}"
    path, headers, _ = Upstream.requests[-1]
    assert (path, headers.get("x-api-key")) == ("/v1/messages", "of-the-upstream"), headers
    for _, headers, _ in Upstream.requests:
        assert not any("tk_" in value for value in headers.values()), headers


def check_refusals(gate, key, poor):
    """A refusal for lack of credit and a replay reach the gate once."""
    seen = len(Upstream.requests)
    for library, make in (
        (openai, lambda http: openai.OpenAI(base_url=f"{gate.url}/v1", api_key=poor, http_client=http)
            .chat.completions.create(model="m", messages=MESSAGES)),
        (anthropic, lambda http: anthropic.Anthropic(base_url=gate.url, api_key=poor, http_client=http)
            .messages.create(model="m", messages=MESSAGES, max_tokens=20_000)),
    ):
        http_client = counted(library.DefaultHttpxClient)
        try:
            make(http_client)
            raise AssertionError("it must be refused")
        except library.APIStatusError as why:
            assert why.status_code == 402, why
            text = json.dumps(why.body)
            assert "insufficient_credits" in text and "affordable_quantities" in text, text
        assert http_client.count == 1, f"{http_client.count} requests for one refusal"
    assert len(Upstream.requests) == seen, "nothing ran"
    http_client = counted(openai.DefaultHttpxClient)
    client = openai.OpenAI(base_url=f"{gate.url}/v1", api_key=key, http_client=http_client)
    once = {"model": "m", "messages": MESSAGES, "extra_headers": {"Idempotency-Key": "order-1"}}
    client.chat.completions.create(**once)
    try:
        client.chat.completions.create(**once)
        raise AssertionError("it must be refused")
    except openai.ConflictError as why:
        assert why.body["code"] == "operation_already_paid", why.body
    assert (http_client.count, len(Upstream.requests)) == (2, seen + 1), http_client.count


def check_fit(server, gate, some):
    """With little credit the output is lowered to what is affordable."""
    client = openai.OpenAI(base_url=f"{gate.url}/fit", api_key=some)
    Upstream.usage = (5, 1_000)
    answer = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES, max_tokens=90_000)
    limit = int(answer.headers["tollkeeper-fitted"])
    assert limit < 90_000 and Upstream.requests[-1][2]["max_tokens"] == limit, limit
    assert settled(server, "some") == price(5, 1_000)


def main(program):
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, directory, {})
        try:
            meters = [{"id": "input", "unit_price": INPUT, "per": PER},
                      {"id": "output", "unit_price": OUTPUT, "per": PER}]
            call(server, "PUT", "/v1/price-book", {"operations": [{"id": "chat", "meters": meters}]})
            key = workspace(server, "acme", 100_000_000)
            poor, some = workspace(server, "poor", 10), workspace(server, "some", 1_000)
            gate = Gate(program, directory, server, f"http://127.0.0.1:{upstream.server_address[1]}")
            try:
                check_prices(server, gate, key)
                check_refusals(gate, key, poor)
                check_fit(server, gate, some)
            finally:
                gate.stop()
        finally:
            server.stop()
            upstream.shutdown()
    print("gate_clients: both clients paid what the upstream reported, and sent no refusal again")


if __name__ == "__main__":
    main(sys.argv[1])
