"""Lists over pages, the journal behind a position, and the stream."""

import pytest
from support import answer

from tollkeeper import ApiError, DeadlineExceededError, UnexpectedAnswerError


def test_a_list_has_all_rows_of_all_pages(client, workspace):
    made = [client.charges.create(workspace, {"operation": "support_message"})["id"] for _ in range(7)]
    assert [one["id"] for one in client.charges.list(workspace, {"limit": 3})] == made[::-1]
    pages = [page["data"] for page in client.charges.list(workspace, {"limit": 3}).pages()]
    assert [len(page) for page in pages] == [3, 3, 1]
    first = client.charges.list(workspace, {"limit": 2}).first()
    rest = client.charges.list(workspace, {"limit": 2, "cursor": first["next_cursor"]})
    assert [one["id"] for one in rest] == made[::-1][2:]
    assert list(client.charges.list(workspace, {"worker": "nobody"})) == []


def test_an_empty_page_is_not_the_end_and_a_repeated_one_is_an_error(connect, proxy, workspace):
    def page(rows, cursor):
        return answer(200, {"data": rows, "next_cursor": cursor})

    members = connect(proxy.url).members
    proxy.plan = [page([], "a"), page([{"id": "ada"}], "b"), page([], None)]
    assert [one["id"] for one in members.list(workspace)] == ["ada"]
    proxy.plan = [page([], "a"), page([], "a")]
    with pytest.raises(UnexpectedAnswerError, match="repeats"):
        list(members.list(workspace))


def test_entries_follow_a_position(client, workspace):
    some = client.journal.entries_after(workspace, {"after": "0", "limit": 1})
    assert [one["number"] for one in some["data"]] == [1]
    rest = client.journal.entries_after(workspace, {"after": some["after"], "wait": 1})
    assert [one["kind"] for one in rest["data"]] == ["grant.created"]
    last = {"after": rest["after"], "wait": 1}
    assert client.journal.entries_after(workspace, last, attempt_timeout_seconds=0.8)["data"] == []


def test_a_stream_gives_the_balance_and_the_entries(client, workspace):
    stream = client.journal.stream(workspace, {"after": "0", "kinds": "grant.created,charge.opened"})
    events = iter(stream)
    first = next(events)
    assert first.event == "balance" and first.data["available"] == 1_000_000
    assert next(events).event == "grant.created"
    charge = client.charges.create(workspace, {"operation": "support_message"})
    last = next(events)
    assert last.event == "charge.opened" and last.data["charge"] == charge["id"] and last.id == "1-3"
    stream.close()


def test_a_silent_stream_is_given_up(connect, proxy, workspace):
    proxy.plan = ["hang"]
    with pytest.raises(DeadlineExceededError):
        next(iter(connect(proxy.url).journal.stream(workspace, silence_seconds=0.3)))


def test_a_stream_that_is_refused_raises_its_problem(client):
    with pytest.raises(ApiError, match="workspace_not_found"):
        next(iter(client.journal.stream("nobody")))
