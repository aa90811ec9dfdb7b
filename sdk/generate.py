"""Writes the generated files of both SDKs, or says how the committed ones differ.

Usage: generate.py TOLLKEEPER PYTHON_BIN NPM_BIN [--check]
  TOLLKEEPER  the program; the document is what its server has at /openapi.json
  PYTHON_BIN  the folder with `datamodel-codegen`
  NPM_BIN     the folder with `openapi-typescript`
  --check     writes nothing, and fails if a committed file differs

Generated are the types of both, and the synchronous client of Python from the asynchronous one.
The types are those of requests and responses only: paths are left out, since the calls are written
by hand and tests compare them with the document. Added to the schemas of the document are the query
of each call that has one, and the codes of problems.
"""

import difflib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "testkit/partners"))

from tollkeeper_server import Server  # noqa: E402

PACKAGE = HERE / "python/src/tollkeeper"
METHODS = ("get", "put", "post", "patch", "delete")

# The names of the queries, by the path. The pages of other lists have `PageQuery`.
QUERIES = {
    "/v1/workspaces": "WorkspacesQuery",
    "/v1/workspaces/{workspace}/balance": "BalanceQuery",
    "/v1/workspaces/{workspace}/portal-sessions": "PortalSessionsQuery",
    "/v1/workspaces/{workspace}/charges": "ChargesQuery",
    "/v1/workspaces/{workspace}/usage": "UsageQuery",
    "/v1/workspaces/{workspace}/usage/changes": "UsageChangesQuery",
    "/v1/workspaces/{workspace}/burn-rate": "BurnRateQuery",
    "/v1/workspaces/{workspace}/entries": "EntriesQuery",
    "/v1/workspaces/{workspace}/stream": "StreamQuery",
    "/v1/report": "ReportQuery",
}

# What differs between an asynchronous file and its synchronous twin.
SYNCHRONOUS = [
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basync (def|for|with) ", r"\1 "),
    (r"\bawait ", ""),
    (r"\b(exchange|sleep)_async\b", r"\1"),
    (r"\bAwaitable\[([A-Za-z]+)\]", r"\1"),
    (r"__a(iter|enter|exit)__", r"__\1__"),
    (r"\ba(iter_lines|read|close)\b", r"\1"),
    (r"\b_async\b", "_sync"),
    (r"\basynchronous", "synchronous"),
    (r"\bAsynchronous", "Synchronous"),
]


def document_of(program):
    """The OpenAPI document of a server."""
    with tempfile.TemporaryDirectory() as directory:
        server = Server(program, directory, {})
        try:
            with urllib.request.urlopen(f"{server.url}/openapi.json") as response:
                return json.load(response)
        finally:
            server.stop()


def query_schema(parameters):
    """The query parameters of a call as one object."""
    schema = {"type": "object", "description": "The query of a call.", "properties": {}}
    for parameter in parameters:
        text = {"description": parameter.get("description", "")}
        schema["properties"][parameter["name"]] = {**parameter["schema"], **text}
    return schema


def with_open_objects(schema):
    """The schema, in which an object without named members may have any."""
    if isinstance(schema, list):
        return [with_open_objects(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: with_open_objects(value) for name, value in schema.items()}
    if "object" in (schema.get("type"), *schema.get("type", [])) and "properties" not in schema:
        schema.setdefault("additionalProperties", True)
    return schema


def reduced(document):
    """The document with all schemas and no paths."""
    schemas, codes = dict(document["components"]["schemas"]), set()
    for path, calls in document["paths"].items():
        for call in (calls[method] for method in METHODS if method in calls):
            for answer in call["responses"].values():
                codes.update(re.findall(r"^- `(\w+)`:", answer.get("description", ""), re.MULTILINE))
            query = [one for one in call.get("parameters", []) if one["in"] == "query"]
            if query:
                name = QUERIES.get(path, "PageQuery")
                schema = query_schema(query)
                assert name not in schemas or schemas[name] == schema, f"{path} needs a name in QUERIES"
                schemas[name] = schema
    schemas["ProblemCode"] = {"type": "string", "enum": sorted(codes), "description": "The codes of problems."}
    kept = {name: document[name] for name in ("openapi", "info")}
    return {**kept, "paths": {}, "components": {"schemas": with_open_objects(dict(sorted(schemas.items())))}}


def python_types(source, target, folder):
    head = '"""Types of requests and responses. Written by `sdk/generate.py`; do not edit."""'
    subprocess.run(
        [folder / "datamodel-codegen", "--input", source, "--input-file-type", "openapi", "--output", target,
         "--output-model-type", "typing.TypedDict", "--target-python-version", "3.10", "--openapi-scopes", "schemas",
         "--use-union-operator", "--use-standard-collections", "--use-schema-description",
         "--use-field-description", "--enum-field-as-literal", "all", "--no-use-closed-typed-dict",
         "--formatters", "builtin", "--custom-file-header", head],
        check=True)


def typescript_types(source, target, folder):
    subprocess.run(
        [folder / "openapi-typescript", source, "--output", target, "--alphabetize", "--root-types",
         "--root-types-no-schema-prefix", "--default-non-nullable=false"],
        check=True, capture_output=True)
    head = "// Types of requests and responses. Written by `sdk/generate.py`; do not edit.\n\n"
    target.write_text(head + target.read_text(encoding="utf-8"), encoding="utf-8")


def synchronous(text, name):
    for pattern, replacement in SYNCHRONOUS:
        text = re.sub(pattern, replacement, text)
    head, rest = text.split('"""\n', 1)
    return f'{head}\n\nWritten by `sdk/generate.py` from `_async/{name}`; do not edit.\n"""\n{rest}'


def generated(document, python_bin, npm_bin):
    """Each generated file with its text."""
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "openapi.json")
        source.write_text(json.dumps(reduced(document)), encoding="utf-8")
        for write, path, bin_folder in [(python_types, PACKAGE / "types.py", python_bin),
                                        (typescript_types, HERE / "typescript/src/types.ts", npm_bin)]:
            target = pathlib.Path(folder, path.name)
            write(source, target, pathlib.Path(bin_folder))
            files[path] = target.read_text(encoding="utf-8")
    for path in sorted((PACKAGE / "_async").glob("*.py")):
        files[PACKAGE / "_sync" / path.name] = synchronous(path.read_text(encoding="utf-8"), path.name)
    return files


def versions():
    """The versions that the packages say they have."""
    named = {"python/pyproject.toml": r'^version = "(.*)"$', "python/src/tollkeeper/_call.py": r'^VERSION = "(.*)"$',
             "typescript/package.json": r'^ *"version": "(.*)",$', "typescript/src/call.ts": r'VERSION = "(.*)";$'}
    for name, pattern in named.items():
        yield name, re.search(pattern, (HERE / name).read_text(encoding="utf-8"), re.MULTILINE)[1]


def main(program, python_bin, npm_bin, *flags):
    document = document_of(program)
    wrong = [f"{name} has version {version}, the server {document['info']['version']}"
             for name, version in versions() if version != document["info"]["version"]]
    for path, text in generated(document, python_bin, npm_bin).items():
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if before == text:
            continue
        if "--check" not in flags:
            path.write_text(text, encoding="utf-8")
            continue
        lines = difflib.unified_diff(before.splitlines(), text.splitlines(), "committed", "generated", lineterm="", n=1)
        wrong.append("\n".join([f"{path.relative_to(HERE)} is not what is generated:", *list(lines)[:40]]))
    if wrong:
        sys.exit("\n".join(wrong))
    print("sdk: the generated files are those of the server" if "--check" in flags else "sdk: generated")


if __name__ == "__main__":
    main(*sys.argv[1:])
