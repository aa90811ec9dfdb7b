"""Traces of a running server, decoded with the official types of the OpenTelemetry protocol.

Usage: otlp.py TOLLKEEPER
  TOLLKEEPER  the program

A collector that is busy at first receives every span of a server, the last ones when the server ends.
A collector that never answers delays neither a request nor the end of the server for long.
"""

import http.server
import socket
import sys
import tempfile
import threading

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tollkeeper_server import KEY, Server

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GRANT = {"source": "promotional", "amount": 500, "reason": "hello"}


class Collector(http.server.BaseHTTPRequestHandler):
    """Is busy once, then keeps what it decodes."""

    requests = []
    is_busy = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf"
        assert self.headers["api-key"] == "secret-of-the-collector"
        if Collector.is_busy:
            Collector.is_busy = False
            self.send_response(503)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        Collector.requests.append((request, body))
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def attributes(record):
    values = {"string_value": lambda any_value: any_value.string_value, "int_value": lambda any_value: any_value.int_value}
    return {one.key: values[one.value.WhichOneof("value")](one.value) for one in record.attributes}


def has_unknown_fields(message):
    """Whether the message has fields that the official types do not have."""
    again = type(message)()
    again.CopyFrom(message)
    again.DiscardUnknownFields()
    return again.SerializeToString() != message.SerializeToString()


def spans_arrive(program):
    collector = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{collector.server_address[1]}"
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, directory, {"OTLP_ENDPOINT": url, "OTLP_HEADERS": "api-key=secret-of-the-collector"})
        parent = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        try:
            server.post("/v1/workspaces", {"id": "acme", "name": "Acme"})
            for n in range(20):
                server.post("/v1/workspaces/acme/grants", GRANT, f"key-{n}", parent)
        finally:
            code = server.stop()
        assert code == 0, code
    collector.shutdown()
    spans = []
    for request, body in Collector.requests:
        assert not has_unknown_fields(request)
        for secret in (KEY, "key-1", "secret-of-the-collector", "hello"):
            assert secret.encode() not in body, secret
        for resource in request.resource_spans:
            assert attributes(resource.resource)["service.name"] == "tollkeeper"
            for scope in resource.scope_spans:
                assert scope.scope.name == "tollkeeper"
                spans += scope.spans
    grants = [span for span in spans if span.name == "POST /v1/workspaces/{workspace}/grants"]
    assert len(grants) == 20, len(grants)
    for span in grants:
        assert span.trace_id.hex() == TRACE and span.parent_span_id.hex() == CALLER
        assert span.kind == Span.SPAN_KIND_SERVER and span.status.code == Status.STATUS_CODE_UNSET
        assert 0 < span.end_time_unix_nano - span.start_time_unix_nano < 60_000_000_000
        assert attributes(span) == {
            "http.request.method": "POST", "http.route": "/v1/workspaces/{workspace}/grants",
            "http.response.status_code": 201, "tollkeeper.workspace": "acme"}
        in_engine = [below for below in spans if below.parent_span_id == span.span_id]
        assert [below.name for below in in_engine] == ["engine"]
        assert in_engine[0].kind == Span.SPAN_KIND_INTERNAL and in_engine[0].trace_id == span.trace_id
    assert len({span.span_id for span in spans}) == len(spans)
    return len(spans)


def a_silent_collector_delays_nothing(program):
    with socket.socket() as silent, tempfile.TemporaryDirectory() as directory:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = Server(program, directory, {"OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"})
        try:
            server.post("/v1/workspaces", {"id": "acme", "name": "Acme"})
            for n in range(200):
                server.post("/v1/workspaces/acme/grants", GRANT, f"key-{n}")
        finally:
            code = server.stop()
        assert code == 0, code


def main(program):
    count = spans_arrive(program)
    a_silent_collector_delays_nothing(program)
    print(f"opentelemetry-proto: {count} spans decoded; a silent collector delayed nothing")


if __name__ == "__main__":
    main(sys.argv[1])
