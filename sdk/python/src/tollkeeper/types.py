"""Types of requests and responses. Written by `sdk/generate.py`; do not edit."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypedDict

from typing_extensions import NotRequired


class Actor(TypedDict):
    """
    Who did something.
    """

    id: str | None
    """
    The id of the API key, member or operator; null for the platform and the system.
    """
    kind: str
    """
    `platform`, `system`, `api_key`, `member`, or `operator` for a person of the platform who
    acted in the console.
    """
    reason: NotRequired[str | None]
    """
    Why an operator acted, for people; absent for others.
    """


class ApiKey(TypedDict):
    """
    An API key of a workspace.
    """

    created_at: str
    """
    When the key was created.
    """
    expires_at: str | None
    """
    When the key expires; null for never.
    """
    id: str
    """
    The id by which entries and limits name the key. It is not secret.
    """
    last_used_at: str | None
    """
    When the key was last used, recorded at most once an hour; null before the first use.
    """
    member: str | None
    """
    The id of the member that every charge with the key is made for; null if it is not tied.
    """
    name: str
    """
    The display name.
    """
    scopes: list[str]
    """
    What the key may do: `charge`, `settle`, `read`, `manage`.
    """
    secret: NotRequired[str | None]
    """
    The secret to send as `Authorization: Bearer SECRET`. Only the response to its creation has
    it.
    """
    worker: str | None
    """
    The id of the worker that every charge with the key is made by; null if it is not tied.
    """


class ApiKeyRequest(TypedDict):
    """
    The key to be created.
    """

    expires_at: NotRequired[str | None]
    """
    When the key expires; never if it is absent.
    """
    member: NotRequired[str | None]
    """
    The id of a member. Every charge with the key is made for this member and no other.
    """
    name: str
    """
    The display name, 1–255 characters. It stays in the journal for ever, so it is not for
    personal data.
    """
    scopes: list[Literal['charge', 'settle', 'read', 'manage']]
    """
    What the key may do: `charge` makes charges and reports success and failures of the user, `settle` reports failures of the system, which refund pending charges, `read` reads, `manage` changes the workspace and its team.
    """
    worker: NotRequired[str | None]
    """
    The id of a worker. Every charge with the key is made by this worker and no other.
    """


class AutoTopUp(TypedDict):
    """
    When credit is bought, how much, and whether it is.
    """

    amount_usd: str
    """
    What is bought at once, in dollars, as an exact decimal text, without tax.
    """
    bought_this_month_usd: str
    """
    What was bought this month, or waits for its payment, in dollars.
    """
    monthly_cap_usd: str
    """
    The most that is bought in a month of the workspace's time zone, in dollars.
    """
    paused_until: str | None
    """
    When the pause ends; null unless it is paused.
    """
    state: str
    """
    `active`, `paused` after a declined payment, or `stopped`.
    """
    stopped_reason: str | None
    """
    Why it was stopped: `requested`, `payment_method_removed`, `declined`,
    `authentication_needed`, `disputed` or `fraud_warning`; null unless it is stopped.
    """
    threshold: int
    """
    Credit is bought when less than this is available, in micro-units.
    """
    threshold_usd: str
    """
    `threshold` in dollars, as an exact decimal text.
    """


class AutoTopUpRequest(TypedDict):
    """
    When to buy credit, and how much.
    """

    amount_usd: str
    """
    What is bought at once, in whole cents, as a decimal text in dollars, without tax. It buys
    at least the threshold.
    """
    monthly_cap_usd: str
    """
    The most that is bought in a month of the workspace's time zone, in whole cents, as a
    decimal text in dollars.
    """
    threshold: NotRequired[int]
    """
    Credit is bought when less than this is available, in micro-units, more than 0.
    """
    threshold_usd: NotRequired[str]
    """
    The threshold in dollars, as a decimal text; give one of the two.
    """


class Available(TypedDict):
    """
    The credit that can be spent after a charge or grant.
    """

    available: int
    """
    The credit that can be spent, in micro-units.
    """
    available_usd: str
    """
    `available` in dollars, as an exact decimal text.
    """


class Balance(TypedDict):
    """
    The balance of a workspace at one time.
    """

    as_of: str
    """
    The time of the balance.
    """
    available: int
    """
    The credit that can be spent, in micro-units; never negative.
    """
    available_usd: str
    """
    `available` in dollars, as an exact decimal text.
    """
    debt: int
    """
    The credit owed after a lost payment, in micro-units.
    """
    debt_usd: str
    """
    `debt` in dollars, as an exact decimal text.
    """
    pending: int
    """
    The credit deducted by charges that await an outcome, in micro-units.
    """
    pending_usd: str
    """
    `pending` in dollars, as an exact decimal text.
    """
    workspace: str
    """
    The id of the workspace.
    """


class BalanceAfter(TypedDict):
    """
    The balance of the workspace after an entry.
    """

    available: int
    """
    The credit that can be spent, in micro-units.
    """
    available_usd: str
    """
    `available` in dollars, as an exact decimal text.
    """
    debt: int
    """
    The credit owed after a lost payment, in micro-units.
    """
    debt_usd: str
    """
    `debt` in dollars, as an exact decimal text.
    """
    pending: int
    """
    The credit deducted by charges that await an outcome, in micro-units.
    """
    pending_usd: str
    """
    `pending` in dollars, as an exact decimal text.
    """


class BalanceQuery(TypedDict):
    """
    The query of a call.
    """

    at: NotRequired[str]
    """
    A past time. If it is absent or in the future, the current balance is returned.
    """


class BatchItem(TypedDict):
    """
    A charge with its workspace and its idempotency key.
    """

    await_outcome: NotRequired[bool | None]
    """
    Whether the charge is pending until its outcome is reported.
    """
    idempotency_key: str
    """
    The idempotency key of the item, 1–255 printable characters without a blank at either end.
    """
    member: NotRequired[str | None]
    """
    The id of the member for whom the operation runs.
    """
    metadata: NotRequired[dict[str, Any] | None]
    """
    A JSON object that your product chooses, at most 4,096 bytes.
    """
    operation: str
    """
    The id of the operation in the price book.
    """
    outcome_by_platform: NotRequired[bool]
    """
    True: only the platform, or a key with the scope `settle`, reports the outcome.
    """
    quantities: NotRequired[dict[str, int]]
    """
    The units of each meter, of an operation with meters: an object of meters and numbers.
    """
    quantity: NotRequired[int]
    """
    The number of units, of an operation without meters; 1 if it is absent.
    """
    reference: NotRequired[str | None]
    """
    Your product's name for the run, 1–255 characters.
    """
    timeout_seconds: NotRequired[int | None]
    """
    The seconds until the deadline. If no outcome is reported by then, the charge is refunded.
    """
    worker: NotRequired[str | None]
    """
    The id of the AI worker that runs the operation.
    """
    workspace: str
    """
    The id of the workspace that is charged.
    """


class BatchRequest(TypedDict):
    """
    The charges of a batch.
    """

    charges: list[BatchItem]
    """
    The charges, which are decided in this order.
    """


class BurnRateQuery(TypedDict):
    """
    The query of a call.
    """

    window_days: NotRequired[int]
    """
    The most complete days that the average counts.
    """
    group_by: NotRequired[str]
    """
    The keys of the rows, separated by commas: `operation`, `worker`, `member`, `api_key`; for use also one of the times `hour`, `day` and `month`.
    """


class BurnRateRow(TypedDict):
    """
    The part of a group in the average use. A key is present if rows are grouped by it.
    """

    api_key: NotRequired[str | None]
    """
    The API key that opened the charges; null for those that a platform key opened.
    """
    daily_average: int
    """
    Its average use of a day, rounded up, so that all rows together may exceed the average of
    the workspace.
    """
    daily_average_usd: str
    """
    `daily_average` in dollars, as an exact decimal text.
    """
    member: NotRequired[str | None]
    """
    The member; null for charges without one.
    """
    net: int
    """
    What it used on the days of the average, less refunds, in micro-units.
    """
    net_usd: str
    """
    `net` in dollars, as an exact decimal text.
    """
    operation: NotRequired[str | None]
    """
    The operation.
    """
    share_percent: str | None
    """
    Its part of the use of all rows in percent, with two decimals; null if nothing was used on
    the whole.
    """
    worker: NotRequired[str | None]
    """
    The worker; null for charges without one.
    """


class ChargeRequest(TypedDict):
    """
    One run of an operation, which is charged before it runs.
    """

    await_outcome: NotRequired[bool | None]
    """
    Whether the charge is pending until its outcome is reported. If it is absent: true if
    `timeout_seconds` is given or the operation has a timeout in the price book.
    """
    member: NotRequired[str | None]
    """
    The id of the member for whom the operation runs.
    """
    metadata: NotRequired[dict[str, Any] | None]
    """
    A JSON object that your product chooses, at most 4,096 bytes. It stays in the journal for
    ever, so it is not for personal data.
    """
    operation: str
    """
    The id of the operation in the price book.
    """
    outcome_by_platform: NotRequired[bool]
    """
    True: only the platform, or a key with the scope `settle`, reports the outcome of this
    charge, and the charge awaits one.
    """
    quantities: NotRequired[dict[str, int]]
    """
    The units of each meter, of an operation with meters: an object of meters and numbers.
    """
    quantity: NotRequired[int]
    """
    The number of units, of an operation without meters; 1 if it is absent.
    """
    reference: NotRequired[str | None]
    """
    Your product's name for the run, 1–255 characters. The list can be filtered by it. It stays
    in the journal for ever, so it is not for personal data.
    """
    timeout_seconds: NotRequired[int | None]
    """
    The seconds until the deadline. If no outcome is reported by then, the charge is refunded.
    """
    worker: NotRequired[str | None]
    """
    The id of the AI worker that runs the operation; your product chooses it.
    """


ChargesQuery = TypedDict(
    'ChargesQuery',
    {
        'operation': NotRequired[str],
        'worker': NotRequired[str],
        'member': NotRequired[str],
        'status': NotRequired[Literal['pending', 'settled', 'refunded']],
        'reference': NotRequired[str],
        'from': NotRequired[str],
        'to': NotRequired[str],
        'limit': NotRequired[int],
        'cursor': NotRequired[str],
    },
)


class Clock(TypedDict):
    """
    The clock that was confirmed.
    """

    now: str
    """
    The time that the clock of the server shows.
    """
    was_held: bool
    """
    True if the timers were held until now.
    """


class DeliveryAttempt(TypedDict):
    """
    One attempt to send a message.
    """

    accepted: bool
    """
    Whether the message was accepted.
    """
    at: str
    """
    When it was sent.
    """
    entry: int | None
    """
    The number of the entry that it is about; null for a ping.
    """
    http_status: int | None
    """
    The status of the answer; null if there was none.
    """
    message: str
    """
    The id of the message.
    """
    outcome: str
    """
    What became of it, for people.
    """
    took_ms: int
    """
    How long it took, in milliseconds.
    """
    type: str
    """
    The type of the message.
    """
    workspace: str | None
    """
    The workspace that it is about; null for the platform.
    """


class DeliveryException(TypedDict):
    """
    A message that was not accepted.
    """

    attempts: int
    """
    How often it was sent.
    """
    entry: int | None
    """
    The number of the entry that it is about; null for a ping.
    """
    first_at: str
    """
    When it was sent first.
    """
    message: str
    """
    The id of the message.
    """
    next_at: str | None
    """
    When it is sent again; null if it was given up.
    """
    outcome: str
    """
    What became of the last attempt, for people.
    """
    status: str
    """
    `waiting` if it is sent again, `given_up` if it is not.
    """
    workspace: str | None
    """
    The workspace that it is about; null for the platform.
    """


class Draw(TypedDict):
    """
    An amount and its grant: drawn by a charge and not refunded, or returned by a refund.
    """

    amount: int
    """
    The amount in micro-units.
    """
    amount_usd: str
    """
    `amount` in dollars, as an exact decimal text.
    """
    grant: str
    """
    The id of the grant.
    """


class EmailRecipient(TypedDict):
    """
    Somebody who gets e-mails, has muted some, or refuses them.
    """

    chosen: bool
    """
    Whether the recipient was chosen. If nobody is, the admins get the e-mails.
    """
    confirmed_at: str | None
    """
    When the owner of a typed address confirmed it; null before that, and for a member.
    """
    email: str | None
    """
    The address; null if it was erased.
    """
    id: str
    """
    The id: `member:` and the id of a member, or that of a typed address.
    """
    member: str | None
    """
    The id of the member; null for a typed address.
    """
    muted: list[str]
    """
    The topics of which the recipient gets no e-mail.
    """
    status: str
    """
    `confirmed`, or why no e-mail is sent: `unconfirmed`, `bounced` or `complained`. Of the last
    two, an admin can enter the address again: with the member, or once a typed one was removed.
    """


class EntriesQuery(TypedDict):
    """
    The query of a call.
    """

    limit: NotRequired[int]
    """
    The most rows on a page.
    """
    cursor: NotRequired[str]
    """
    The `next_cursor` of the page before; absent for the first page.
    """
    after: NotRequired[str]
    """
    Only entries behind this position, oldest first: the number of an entry, or its epoch and number. 0 begins with the first.
    """
    kinds: NotRequired[str]
    """
    Only entries of these kinds, separated by commas. In the list, it is taken with `after` only.
    """
    wait: NotRequired[int]
    """
    The seconds to wait for an entry if there is none; taken with `after` only.
    """


Entry = TypedDict(
    'Entry',
    {
        'actor': Actor,
        'amount': int | None,
        'amount_usd': str | None,
        'api_key': str | None,
        'balance': BalanceAfter,
        'charge': str | None,
        'created_at': str,
        'decided_at': NotRequired[str | None],
        'details': dict[str, Any] | None,
        'from': str | None,
        'grant': str | None,
        'hash': str,
        'idempotency_key': str | None,
        'kind': str,
        'member': str | None,
        'number': int,
        'operation': str | None,
        'previous_hash': str,
        'reason': str | None,
        'to': str | None,
    },
)


class Grant(TypedDict):
    """
    Credit that came in at once, and what remains of it.
    """

    amount: int
    """
    The amount that was granted, in micro-units.
    """
    amount_usd: str
    """
    `amount` in dollars, as an exact decimal text.
    """
    balance: NotRequired[Available | None]
    created_at: str
    """
    When the credit was granted.
    """
    id: str
    """
    The id of the grant.
    """
    reason: str | None
    """
    Why the credit was granted, for people.
    """
    remaining: int
    """
    The amount that is not spent, in micro-units.
    """
    remaining_usd: str
    """
    `remaining` in dollars, as an exact decimal text.
    """
    source: str
    """
    `promotional`, `adjustment`, `subscription` or `top_up`.
    """
    voided_at: str | None
    """
    When the platform voided the grant; null if it did not.
    """
    workspace: str
    """
    The id of the workspace.
    """


class GrantRequest(TypedDict):
    """
    The credit to be granted.
    """

    amount: NotRequired[int]
    """
    The amount in micro-units, more than 0.
    """
    amount_usd: NotRequired[str]
    """
    The amount in dollars, as a decimal text; give one of the two.
    """
    reason: str
    """
    Why the credit is granted, for people, 1–255 characters. It stays in the journal for ever,
    so it is not for personal data.
    """
    source: str
    """
    Why the credit is granted: `promotional` or `adjustment`.
    """


class Health(TypedDict):
    """
    The server is healthy.
    """

    status: str
    """
    Always `ok`; otherwise the response is a problem.
    """
    timers: NotRequired[str | None]
    """
    `held` if no charge is timed out until the clock is confirmed; absent otherwise.
    """


class HeartbeatRequest(TypedDict):
    """
    A later deadline for a pending charge.
    """

    extend_seconds: int
    """
    The seconds from now until the new deadline. If the current deadline is later, or earlier by
    less than a quarter of the time that is left, it stays.
    """


class JournalHead(TypedDict):
    """
    The end of the journal.
    """

    entries: int
    """
    The number of entries.
    """
    epoch: int
    """
    1, and one more after each restore of a backup.
    """
    hash: str
    """
    The SHA-256 there, in hex digits.
    """
    place: int
    """
    The place of the last entry; 0 if there is none.
    """


class Limit(TypedDict):
    """
    A spending limit and what was used of it.
    """

    amount: int
    """
    The most that may be spent in a period, in micro-units.
    """
    amount_usd: str
    """
    `amount` in dollars, as an exact decimal text.
    """
    id: str | None
    """
    The id of the member, worker, operation or API key; null for the workspace.
    """
    period: str
    """
    `day` or `month`, in the workspace's time zone.
    """
    remaining: int
    """
    What may still be spent in the current period, in micro-units.
    """
    remaining_usd: str
    """
    `remaining` in dollars, as an exact decimal text.
    """
    resets_at: str
    """
    When the next period begins.
    """
    subject: str
    """
    Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    """
    used: int
    """
    What was charged in the current period less what was refunded in it, in micro-units. It is
    negative if more was refunded than charged.
    """
    used_usd: str
    """
    `used` in dollars, as an exact decimal text.
    """


class LimitRequest(TypedDict):
    """
    A spending limit.
    """

    amount: NotRequired[int]
    """
    The most that may be spent in a period, in micro-units.
    """
    amount_usd: NotRequired[str]
    """
    The amount in dollars, as a decimal text; give one of the two.
    """
    id: NotRequired[str | None]
    """
    The id of the member, worker, operation or API key; absent for the workspace.
    """
    period: str
    """
    `day` or `month`, in the workspace's time zone.
    """
    subject: str
    """
    Whose spending: `workspace`, `member`, `worker`, `operation` or `api_key`.
    """


class Limits(TypedDict):
    """
    The limits of a workspace.
    """

    limits: list[Limit]
    """
    The limits, in the order in which they were set.
    """


class LimitsRequest(TypedDict):
    """
    All limits of a workspace. They replace the current ones.
    """

    limits: list[LimitRequest]
    """
    The limits, at most one per subject and period.
    """


class MailEvent(TypedDict):
    """
    What became of an e-mail.
    """

    email: str
    """
    The address that the e-mail was sent to.
    """
    permanent: NotRequired[bool]
    """
    False for a bounce after which the address may work again.
    """
    type: str
    """
    `bounce` or `complaint`.
    """
    workspace: str
    """
    The id of the workspace that the e-mail was about.
    """


class MailEvents(TypedDict):
    """
    What a relay reports.
    """

    events: list[MailEvent]
    """
    The events.
    """


class MailEventsResult(TypedDict):
    """
    What was found of the events.
    """

    matched: int
    """
    The events whose address a recipient or member of the workspace has.
    """
    unmatched: int
    """
    The other events. Nothing follows from them.
    """


class MailTestRecipient(TypedDict):
    """
    What became of a test mail to one recipient.
    """

    accepted: bool
    """
    Whether the relay took the mail.
    """
    email: str
    """
    The address.
    """
    outcome: str
    """
    What the relay answered, for people.
    """


class Member(TypedDict):
    """
    A member of a workspace.
    """

    created_at: str
    """
    When the member was added.
    """
    email: str | None
    """
    The e-mail address that messages are sent to; null if it was erased.
    """
    id: str
    """
    The id by which charges and limits name the member.
    """
    name: str | None
    """
    The display name; null if it was erased.
    """
    role: str
    """
    `admin` or `member`.
    """


class MemberChanges(TypedDict):
    """
    The fields to be changed; absent fields keep their values.
    """

    email: NotRequired[str]
    """
    The new e-mail address.
    """
    name: NotRequired[str]
    """
    The new display name, 1–255 characters.
    """
    role: NotRequired[str]
    """
    The new role, `admin` or `member`. It counts from the next request on.
    """


class MemberRequest(TypedDict):
    """
    The person to be added.
    """

    email: str
    """
    The e-mail address that messages are sent to.
    """
    id: str
    """
    The id by which charges and limits name the member; your product chooses it. It is never
    erased.
    """
    name: str
    """
    The display name, 1–255 characters.
    """
    role: str
    """
    `admin` may change the workspace in the dashboard; `member` may look at the balance and
    usage.
    """


class Meter(TypedDict):
    """
    A meter and its price.
    """

    id: str
    """
    The id by which quantities name the meter.
    """
    per: int
    """
    The number of units for which the price is: a power of ten.
    """
    unit_price: int
    """
    The price of `per` units, in micro-units.
    """
    unit_price_usd: str
    """
    `unit_price` in dollars, as an exact decimal text.
    """


class MeterRequest(TypedDict):
    """
    A meter of an operation and its new price.
    """

    id: str
    """
    The id by which quantities name the meter.
    """
    per: NotRequired[int | None]
    """
    The number of units for which the price is: a power of ten, 1 if it is absent.
    """
    unit_price: NotRequired[int]
    """
    The price of `per` units, in micro-units.
    """
    unit_price_usd: NotRequired[str]
    """
    The price of `per` units in dollars, as a decimal text; give one of the two.
    """


class MutedTopics(TypedDict):
    """
    The topics that a recipient mutes.
    """

    muted: list[str]
    """
    All topics that are muted from now on; an empty list mutes none.
    """


class Operation(TypedDict):
    """
    An operation and its price.
    """

    id: str
    """
    The id by which charges name the operation.
    """
    meters: NotRequired[list[Meter] | None]
    """
    The meters and their prices, if the operation has meters.
    """
    per: NotRequired[int | None]
    """
    The number of units for which `unit_price` is, if it is not one.
    """
    timeout_seconds: int | None
    """
    The seconds that every charge awaits an outcome; null if it awaits none.
    """
    unit_price: int | None
    """
    The price of one unit, or of `per` units, in micro-units; null if the operation has meters.
    """
    unit_price_usd: str | None
    """
    `unit_price` in dollars, as an exact decimal text.
    """


class OperationRequest(TypedDict):
    """
    An operation and its new price.
    """

    id: str
    """
    The id by which charges name the operation.
    """
    meters: NotRequired[list[MeterRequest] | None]
    """
    1 to 8 meters with prices of their own, in place of one price.
    """
    per: NotRequired[int | None]
    """
    The number of units for which the price is: a power of ten, 1 if it is absent.
    """
    timeout_seconds: NotRequired[int | None]
    """
    If it is set, every charge awaits an outcome for this many seconds.
    """
    unit_price: NotRequired[int]
    """
    The price of one unit, or of `per` units, in micro-units.
    """
    unit_price_usd: NotRequired[str]
    """
    The price of one unit in dollars, as a decimal text; give one of the two.
    """


class OutcomeRequest(TypedDict):
    """
    What became of an operation. A different outcome later is refused.
    """

    detail: NotRequired[str | None]
    """
    With `failed`: what happened, for people, 1–255 characters. It stays in the journal for
    ever, so it is not for personal data.
    """
    fault: NotRequired[str | None]
    """
    With `failed`: `system` refunds the charge, `user` keeps the credit.
    """
    quantities: NotRequired[dict[str, int]]
    """
    With `succeeded`, of an operation with meters: the units used of each. Together they cost at
    most what was charged; the difference is refunded.
    """
    quantity: NotRequired[int | None]
    """
    With `succeeded`: the number of units used, if fewer; the difference is refunded.
    """
    result: str
    """
    `succeeded` or `failed`.
    """


class PageQuery(TypedDict):
    """
    The query of a call.
    """

    limit: NotRequired[int]
    """
    The most rows on a page.
    """
    cursor: NotRequired[str]
    """
    The `next_cursor` of the page before; absent for the first page.
    """


class PaymentMethod(TypedDict):
    """
    A saved card.
    """

    brand: str
    """
    The brand, as the payment provider spells it.
    """
    expires: str
    """
    The month in which it expires.
    """
    last4: str
    """
    The last four digits of the number.
    """


class PaymentPage(TypedDict):
    """
    A page of the payment provider.
    """

    url: str
    """
    The address of the page, for one visit.
    """


class PaymentPageRequest(TypedDict):
    """
    A page to be made.
    """

    return_url: NotRequired[str | None]
    """
    Where the payer comes back.
    """


class PaymentRefund(TypedDict):
    """
    Money that goes back to the payer.
    """

    amount_usd: str
    """
    What goes back, in dollars, as an exact decimal text.
    """
    credits: int
    """
    The credit that was taken for it, in micro-units.
    """
    id: str
    """
    The id of the payment refund.
    """
    status: str
    """
    `pending` until the money was sent, then `succeeded` or `failed`.
    """


class PaymentRefundRequest(TypedDict):
    """
    The money to be sent back.
    """

    amount_usd: NotRequired[str | None]
    """
    What to send back, in whole cents, as a decimal text in dollars; all whose credit is unspent
    if absent.
    """
    reason: str
    """
    Why, for people.
    """


class Plan(TypedDict):
    """
    The terms of a plan.
    """

    credits: int
    """
    The credit of a month in micro-units, also of a plan that is paid by the year.
    """
    credits_usd: str
    """
    `credits` in dollars, as an exact decimal text.
    """
    id: str
    """
    The id by which subscriptions name the plan.
    """
    interval: str
    """
    How often the price is paid: `month` or `year`.
    """
    name: str
    """
    The name, for people.
    """
    price_usd: str
    """
    What an interval costs in dollars, as an exact decimal text.
    """
    sample: bool
    """
    True for a sample that stands in because the platform has not set plans yet.
    """


class PlanRequest(TypedDict):
    """
    A plan and its new terms.
    """

    credits: NotRequired[int]
    """
    The credit of a month in micro-units, also of a plan that is paid by the year.
    """
    credits_usd: NotRequired[str]
    """
    The credit of a month in dollars, as a decimal text; give one of the two.
    """
    id: str
    """
    The id by which subscriptions name the plan.
    """
    interval: str
    """
    How often the price is paid: `month` or `year`.
    """
    name: str
    """
    The name, for people.
    """
    price_usd: str
    """
    What an interval costs in dollars, in whole cents: `0.00` for a free plan, or `0.50` to
    `999999.99`.
    """


class PlannedPrices(TypedDict):
    """
    A version of the price book, by its number and time.
    """

    effective_at: str
    """
    When the version comes into force.
    """
    version: int
    """
    The number of the version.
    """


class Plans(TypedDict):
    """
    A version of the plans.
    """

    plans: list[Plan]
    """
    Every plan that can be started, sorted by id.
    """
    version: int
    """
    The number of the version, which counts from 1; 0 for the samples.
    """


class PlansRequest(TypedDict):
    """
    A new version of the plans. It replaces all of them.
    """

    plans: list[PlanRequest]
    """
    Every plan that can be started.
    """


class PortalSession(TypedDict):
    """
    A link into the dashboard.
    """

    expires_at: str
    """
    When the link ends if it is not used.
    """
    member: str
    """
    The id of the member who will be signed in.
    """
    url: str
    """
    The link. Anyone who has it can use it once, so send it to the member only.
    """


class PortalSessionRequest(TypedDict):
    """
    The member who is to sign in.
    """

    locale: NotRequired[str | None]
    """
    The language of the pages as a tag such as `de` or `en-GB`; that of the browser unless the
    pages are written in it.
    """
    member: str
    """
    The id of the member. The role counts that the member has at each request.
    """
    return_url: NotRequired[str | None]
    """
    The page of your product that the dashboard leads back to. It stays in the journal for ever,
    so it is not for personal data.
    """


class PortalSessionsQuery(TypedDict):
    """
    The query of a call.
    """

    member: NotRequired[str]
    """
    Only those of this member. The use of a workspace also takes an empty text: without a member.
    """


class PriceBook(TypedDict):
    """
    A version of the price book.
    """

    effective_at: str
    """
    When the version comes or came into force.
    """
    operations: list[Operation]
    """
    Every operation that can be charged.
    """
    replaces: NotRequired[list[PlannedPrices] | None]
    """
    The planned versions that never come into force, because this one has their time and a
    later number. Only in the answer to a publication.
    """
    superseded_by: NotRequired[PlannedPrices | None]
    version: int
    """
    The number of the version, which counts from 1.
    """


class PriceBookRequest(TypedDict):
    """
    A new version of the price book. It replaces the whole list.
    """

    effective_at: NotRequired[str | None]
    """
    When the version comes into force; now if it is absent. Up to a minute in the past is now.
    """
    operations: list[OperationRequest]
    """
    Every operation that can be charged.
    """


PriceSimulationRequest = TypedDict(
    'PriceSimulationRequest',
    {
        'from': str,
        'operations': list[OperationRequest],
        'to': str,
    },
)


class PriceSimulationRow(TypedDict):
    """
    What was used and brought, and what the draft would have brought: in all, of an operation, or of
    a workspace.
    """

    change: int
    """
    `simulated` less `net`.
    """
    change_usd: str
    """
    `change` in dollars, as an exact decimal text.
    """
    net: int
    """
    What they deducted, less what was refunded, in micro-units.
    """
    net_usd: str
    """
    `net` in dollars, as an exact decimal text.
    """
    operation: NotRequired[str | None]
    """
    The id of the operation, in a row of one.
    """
    quantity: int
    """
    The units that they paid for.
    """
    runs: int
    """
    The number of charges.
    """
    simulated: int
    """
    What the draft would have brought, in micro-units.
    """
    simulated_usd: str
    """
    `simulated` in dollars, as an exact decimal text.
    """
    unit_price: NotRequired[int | None]
    """
    The price of the draft in micro-units, in a row of an operation; null if the operation is
    not in the draft, or has meters there.
    """
    unit_price_usd: NotRequired[str | None]
    """
    `unit_price` in dollars, as an exact decimal text.
    """
    workspace: NotRequired[str | None]
    """
    The id of the workspace, in a row of one.
    """


class Problem(TypedDict):
    """
    An error as RFC 9457 describes it. Some codes have further members, such as `required`,
    `available` and `shortfall` for `insufficient_credits`.
    """

    code: str
    """
    The stable code. Programs compare this.
    """
    detail: str
    """
    What happened in this case, in a sentence for people.
    """
    retryable: bool
    """
    Whether the same request under the same key may succeed a moment later.
    """
    status: int
    """
    The HTTP status.
    """
    title: str
    """
    The title of the kind of problem, for people.
    """
    type: str
    """
    The name of the kind of problem: `urn:tollkeeper:problem:` and the code.
    """


ProblemCode: TypeAlias = Literal['account_unavailable', 'api_key_not_found', 'auto_top_up_not_found', 'body_too_large', 'charge_already_refunded', 'charge_already_settled', 'charge_not_found', 'debt_outstanding', 'delivery_not_found', 'forbidden', 'grant_not_found', 'grant_was_paid', 'idempotency_key_required', 'idempotency_key_reused', 'insufficient_credits', 'internal_error', 'invalid_field', 'invalid_parameter', 'last_admin', 'limit_exceeded', 'mail_not_set_up', 'malformed_json', 'member_exists', 'member_not_found', 'not_found', 'nothing_due', 'nothing_to_refund', 'operation_not_found', 'overloaded', 'payment_method_not_found', 'payment_method_required', 'payment_provider_unavailable', 'plan_interval_differs', 'plan_not_found', 'position_lost', 'rate_limited', 'recipient_not_found', 'refund_exceeds_charge', 'refund_window_closed', 'request_timeout', 'secret_key_missing', 'store_unavailable', 'subscription_not_found', 'timezone_not_counted', 'too_many_followers', 'top_up_not_found', 'unauthenticated', 'unknown_field', 'unsupported_media_type', 'usage_too_large', 'webhook_endpoint_not_found', 'workspace_exists', 'workspace_not_found', 'workspace_suspended']
"""
The codes of problems.
"""


class Quote(TypedDict):
    """
    What the operation would cost now.
    """

    affordable: bool
    """
    Whether a charge would pass.
    """
    affordable_quantities: NotRequired[dict[str, int]]
    """
    The units of each meter that they cover if the other meters stay as they were asked for; of
    an operation with meters.
    """
    affordable_quantity: NotRequired[int | None]
    """
    The number of units that the available credit and the limits cover; absent if the operation
    has meters.
    """
    amount: int
    """
    The price of all units, in micro-units.
    """
    amount_usd: str
    """
    `amount` in dollars, as an exact decimal text.
    """
    available: int
    """
    The credit that can be spent, in micro-units.
    """
    available_usd: str
    """
    `available` in dollars, as an exact decimal text.
    """
    refusal: str | None
    """
    The code with which a charge would be refused, such as `limit_exceeded`; null if it would
    pass.
    """


class QuoteRequest(TypedDict):
    """
    The operation to be quoted.
    """

    operation: str
    """
    The id of an operation in the price book.
    """
    quantities: NotRequired[dict[str, int]]
    """
    The units of each meter, of an operation with meters: an object of meters and numbers.
    """
    quantity: NotRequired[int]
    """
    The number of units, of an operation without meters; 1 if it is absent.
    """


Range = TypedDict(
    'Range',
    {
        'from': str,
        'to': str,
    },
)


class Refund(TypedDict):
    """
    One refund of a charge.
    """

    amount: int
    """
    The amount that was refunded, in micro-units.
    """
    amount_usd: str
    """
    `amount` in dollars, as an exact decimal text.
    """
    created_at: str
    """
    When it was refunded.
    """
    detail: str | None
    """
    Why it was refunded, in words of the platform.
    """
    gives: list[Draw]
    """
    The amounts that returned to grants.
    """
    reason: str
    """
    `failed_system`, `timed_out`, `partly_used` or `requested`.
    """


class RefundRequest(TypedDict):
    """
    The refund of a charge. Without an amount, all that is left of the charge is refunded.
    """

    amount: NotRequired[int]
    """
    The amount to refund, in micro-units.
    """
    amount_usd: NotRequired[str]
    """
    The amount in dollars, as a decimal text; give one of the two or neither.
    """
    reason: str
    """
    Why it is refunded, for people, 1–255 characters. It stays in the journal for ever, so it is
    not for personal data.
    """


class ReportAccount(TypedDict):
    """
    An account of the trial balance, in micro-units.
    """

    account: str
    """
    `funding`, `available`, `pending`, `consumed` or `clawed_back`.
    """
    closing: int
    """
    Opening + inward − outward.
    """
    inward: int
    """
    What came in.
    """
    opening: int
    """
    What was in it at the beginning; for `funding`, below zero, what it gave.
    """
    outward: int
    """
    What left.
    """


class ReportAgeing(TypedDict):
    """
    Paid grants with unspent credit of one age.
    """

    bought: str
    """
    The month in which they were granted.
    """
    deferred_usd: str
    """
    What was paid for them and is neither recognised nor lost.
    """
    grants: int
    """
    The number of grants.
    """
    last_used: str | None
    """
    The month in which their workspaces were charged last; null if never.
    """
    remaining: int
    """
    Their unspent credit in micro-units.
    """


class ReportCredit(TypedDict):
    """
    The credit of grants of one source, in micro-units.
    """

    closing: int
    """
    Opening + granted − consumed − taken.
    """
    closing_pending: int
    """
    The part of it that pending charges hold.
    """
    consumed: int
    """
    What settled charges took, less refunds.
    """
    consumed_free: int
    """
    The part of it for which nothing was paid.
    """
    granted: int
    """
    What was granted.
    """
    opening: int
    """
    What was unspent or held by pending charges at the beginning.
    """
    provider: str
    """
    As in `revenue`.
    """
    source: str
    """
    As in `revenue`.
    """
    taken: int
    """
    What was taken back for lost payments, debt and voided grants, less what was given back.
    """


class ReportDebt(TypedDict):
    """
    Debt, in micro-units.
    """

    arisen: int
    """
    What was owed in addition.
    """
    closing: int
    """
    Opening + arisen − repaid − forgiven.
    """
    forgiven: int
    """
    What was forgiven because the money came back.
    """
    opening: int
    """
    What was owed at the beginning.
    """
    repaid: int
    """
    What later credit repaid.
    """


class ReportQuery(TypedDict):
    """
    The query of a call.
    """

    month: NotRequired[str]
    """
    The month in UTC; the current one if it is absent.
    """


class ReportRevenue(TypedDict):
    """
    The money of grants of one source, or of all.
    """

    closing_deferred_usd: str
    """
    Opening + sold − lost − recognised. Below zero where payments were lost whose credit was
    consumed.
    """
    closing_not_granted_usd: str
    """
    The part of the closing that was paid for months to come.
    """
    disputed_usd: str
    """
    What payers disputed, less what was won.
    """
    lost_usd: str
    """
    Refunded + disputed.
    """
    opening_deferred_usd: str
    """
    What was paid and neither recognised nor lost, at the beginning.
    """
    opening_not_granted_usd: str
    """
    The part of the opening that was paid for months to come.
    """
    provider: str | None
    """
    Who took the money: `manual`, `stripe`, or `platform` if the platform made the grant itself;
    null in the total.
    """
    recognised_usd: str
    """
    What was earned, less refunds of charges.
    """
    refunded_usd: str
    """
    What was refunded to payers, by payment refunds or at the provider, less what came back.
    """
    sold_usd: str
    """
    What was paid, without tax, also for months to come.
    """
    source: str | None
    """
    `promotional`, `adjustment`, `subscription` or `top_up`; null in the total.
    """
    tax_usd: str
    """
    The tax that was paid besides. It is in no other number.
    """


class ReportUnmatched(TypedDict):
    """
    Money of one currency that came in and fits nothing.
    """

    amount: str
    """
    What came in, in the currency with two decimals.
    """
    currency: str
    """
    The code of the currency.
    """
    payments: int
    """
    The number of payments.
    """


class Settings(TypedDict):
    """
    The settings that decide money.
    """

    refund_window_days: int
    """
    The days after its creation in which a settled charge is still refunded by a late failure of
    the system.
    """


class SettingsRequest(TypedDict):
    """
    All settings that decide money.
    """

    refund_window_days: int
    """
    The days after its creation in which a settled charge is still refunded by a late failure of
    the system.
    """


class StreamQuery(TypedDict):
    """
    The query of a call.
    """

    after: NotRequired[str]
    """
    Only entries behind this position, oldest first: the number of an entry, or its epoch and number. 0 begins with the first.
    """
    kinds: NotRequired[str]
    """
    Only entries of these kinds, separated by commas. In the list, it is taken with `after` only.
    """


class SubscriptionChange(TypedDict):
    """
    A change to a dearer plan that waits for its payment.
    """

    credits: int
    """
    The credit that it brings for the rest of the month, in micro-units.
    """
    credits_usd: str
    """
    `credits` in dollars, as an exact decimal text.
    """
    due_usd: str
    """
    What it costs for the rest of the period, in dollars.
    """
    plan: str
    """
    The id of the plan.
    """
    until: str
    """
    When it is dropped if it is not paid.
    """


class SubscriptionConfirmRequest(TypedDict):
    """
    What was paid.
    """

    change: NotRequired[bool]
    """
    True if the change that waits was paid; false if a period was.
    """


class SubscriptionPayment(TypedDict):
    """
    How a subscription is paid.
    """

    instructions: NotRequired[str | None]
    """
    What the payer has to do; absent if nothing waits for a payment.
    """
    provider: str
    """
    `manual`: the platform confirms each payment; `stripe`: Stripe collects them.
    """


class SubscriptionPeriod(TypedDict):
    """
    A period of a subscription.
    """

    end: str
    """
    The first instant after it.
    """
    start: str
    """
    Its first instant.
    """


SubscriptionPreview = TypedDict(
    'SubscriptionPreview',
    {
        'credits_now': int,
        'credits_now_usd': str,
        'credits_per_month': int,
        'credits_per_month_usd': str,
        'due_now_usd': str,
        'from': str,
    },
)


class SubscriptionRequest(TypedDict):
    """
    A plan to start or to change to.
    """

    plan: str
    """
    The id of the plan.
    """


class Threshold(TypedDict):
    """
    A low-balance threshold and its last alert.
    """

    amount: int | None
    """
    The balance below which an alert fires, in micro-units. For days of runway it is what they
    needed at the last alert or recovery; null before the first.
    """
    amount_usd: str | None
    """
    `amount` in dollars, as an exact decimal text.
    """
    fired_at: str | None
    """
    When the last alert fired; null before the first.
    """
    runway_days: int | None
    """
    The days that the balance is to last; null for an amount.
    """
    state: str
    """
    `low` from an alert until the balance has recovered, else `armed`.
    """


class ThresholdRequest(TypedDict):
    """
    A low-balance threshold: an amount in one of two units, or days of runway.
    """

    amount: NotRequired[int]
    """
    The balance below which an alert fires, in micro-units.
    """
    amount_usd: NotRequired[str]
    """
    The balance in dollars, as a decimal text.
    """
    runway_days: NotRequired[int]
    """
    The days that the balance is to last by the forecast. An alert fires if it lasts for fewer.
    """


class TopUpPayment(TypedDict):
    """
    How a top-up is paid.
    """

    checkout_url: NotRequired[str | None]
    """
    The page to pay on, while it can be paid and the provider answers. Only one top-up shows it,
    not a list.
    """
    instructions: NotRequired[str | None]
    """
    What the payer has to do; absent once it was paid.
    """
    provider: str
    """
    `manual`: the platform confirms the payment. Otherwise the payment provider.
    """
    way: str
    """
    `manual`, `checkout` for a page of the provider, or `automatic` if it was opened because the
    balance was low.
    """


class TopUpRequest(TypedDict):
    """
    The credit to be bought.
    """

    amount_usd: str
    """
    What is to be paid, in whole cents, as a decimal text in dollars, without tax.
    """
    return_url: NotRequired[str | None]
    """
    Where a payer comes back from a page of the payment provider. The provider `manual` has no
    page. A repeated request must name the same one.
    """


class UnmatchedPayment(TypedDict):
    """
    A payment that fits nothing.
    """

    cents: int
    """
    What came in, in hundredths of the currency.
    """
    created_at: str
    """
    When it was noted.
    """
    currency: str
    """
    The currency, in three lower-case letters.
    """
    payment: str
    """
    The name of the payment at the provider.
    """
    reason: str
    """
    Why it fits nothing, for people.
    """
    workspace: str | None
    """
    The id of the workspace that may have paid; null if the provider names none.
    """


UsageChangesQuery = TypedDict(
    'UsageChangesQuery',
    {
        'from': NotRequired[str],
        'to': NotRequired[str],
        'before_from': NotRequired[str],
        'group_by': NotRequired[str],
        'timezone': NotRequired[str],
        'operation': NotRequired[str],
        'worker': NotRequired[str],
        'member': NotRequired[str],
        'api_key': NotRequired[str],
        'raw': NotRequired[bool],
    },
)


UsageQuery = TypedDict(
    'UsageQuery',
    {
        'from': NotRequired[str],
        'to': NotRequired[str],
        'group_by': NotRequired[str],
        'timezone': NotRequired[str],
        'operation': NotRequired[str],
        'worker': NotRequired[str],
        'member': NotRequired[str],
        'api_key': NotRequired[str],
        'raw': NotRequired[bool],
    },
)


class UsageRow(TypedDict):
    """
    The sums of a group, or of all. A key is present if rows are grouped by it.
    """

    api_key: NotRequired[str | None]
    """
    The API key that opened the charges; null for those that a platform key opened.
    """
    charged: int
    """
    What they deducted, in micro-units.
    """
    charged_usd: str
    """
    `charged` in dollars, as an exact decimal text.
    """
    day: NotRequired[str | None]
    """
    The day in the time zone.
    """
    hour: NotRequired[str | None]
    """
    The beginning of the hour, with the offset of the time zone. An hour is a whole hour in UTC,
    divided where a day of the time zone begins.
    """
    member: NotRequired[str | None]
    """
    The member; null for charges without one.
    """
    meter: NotRequired[str | None]
    """
    The meter of which the row counts the units; null for all else.
    """
    month: NotRequired[str | None]
    """
    The month in the time zone.
    """
    net: int
    """
    `charged` less `refunded`; below zero if more was refunded than charged.
    """
    net_usd: str
    """
    `net` in dollars, as an exact decimal text.
    """
    operation: NotRequired[str | None]
    """
    The operation.
    """
    quantity: int
    """
    The number of units that they paid for; of operations with meters, those that were used.
    """
    refunded: int
    """
    What was refunded, also of earlier charges, in micro-units. A refund counts when it happens.
    """
    refunded_usd: str
    """
    `refunded` in dollars, as an exact decimal text.
    """
    runs: int
    """
    The number of charges that were opened.
    """
    worker: NotRequired[str | None]
    """
    The worker; null for charges without one.
    """


class VoidRequest(TypedDict):
    """
    The reason to void a grant. The body may be left out.
    """

    reason: NotRequired[str | None]
    """
    Why the grant is voided, for people, 1–255 characters. It is not for personal data.
    """


class WebhookEndpoint(TypedDict):
    """
    A webhook endpoint.
    """

    created_at: str
    """
    When it was created.
    """
    disabled_reason: str | None
    """
    Why the server has disabled it: `gone` after an answer 410, `failing` after five days
    without one success; null otherwise.
    """
    enabled: bool
    """
    Whether messages are sent.
    """
    id: str
    """
    The id of the endpoint.
    """
    kinds: list[str] | None
    """
    The types of messages that are sent; null for all.
    """
    previous_secret_signs_until: str | None
    """
    Until when the secret before the last rotation signs too; null if it does not.
    """
    secret: NotRequired[str | None]
    """
    The secret with which receivers verify messages. It is there when the endpoint is created
    and when its secret is rotated, and nowhere else.
    """
    url: str
    """
    The address to which messages are sent.
    """
    workspace: str | None
    """
    The workspace whose messages are sent; null for all.
    """


WebhookEndpointChanges = TypedDict(
    'WebhookEndpointChanges',
    {
        'enabled': NotRequired[bool | None],
        'from': NotRequired[str | None],
        'kinds': NotRequired[list[str] | None],
        'url': NotRequired[str | None],
    },
)


class WebhookEndpointRequest(TypedDict):
    """
    A new endpoint.
    """

    kinds: NotRequired[list[str] | None]
    """
    The types of messages to send; all if it is left out, also those of later versions.
    """
    url: str
    """
    The address to which messages are sent: https, without a user, on port 443 unless the server
    allows others.
    """
    workspace: NotRequired[str | None]
    """
    Only messages about this workspace are sent, if one is named.
    """


class Workspace(TypedDict):
    """
    A workspace.
    """

    created_at: str
    """
    When the workspace was created.
    """
    debt: NotRequired[int]
    """
    The credit owed after a lost payment, in micro-units; only present in lists.
    """
    debt_usd: NotRequired[str]
    """
    `debt` in dollars, as an exact decimal text.
    """
    id: str
    """
    The id in every path.
    """
    last_used_at: NotRequired[str | None]
    """
    When the workspace was last charged, null if it never was; only present in lists.
    """
    metadata: dict[str, Any] | None
    """
    The platform's JSON object; null if none was set.
    """
    name: str
    """
    The display name.
    """
    suspended: bool
    """
    Whether charges are refused, because the platform suspended the workspace.
    """
    timezone: str
    """
    The IANA time zone in which the days and months of limits begin.
    """


class WorkspaceChanges(TypedDict):
    """
    The fields to be changed; absent fields keep their values.
    """

    metadata: NotRequired[dict[str, Any] | None]
    """
    The new metadata; it replaces the whole object. Null removes it.
    """
    name: NotRequired[str]
    """
    The new display name, 1–255 characters.
    """
    suspended: NotRequired[bool]
    """
    Whether charges are refused. Only the platform may set it.
    """
    timezone: NotRequired[str]
    """
    The new IANA time zone. All limits are counted again by its days and months.
    """


class WorkspaceRequest(TypedDict):
    """
    The workspace to be created.
    """

    id: NotRequired[str | None]
    """
    The id in every path: 1–64 of `A-Z a-z 0-9 . _ : @ -`. If it is absent, the server makes
    one.
    """
    metadata: NotRequired[dict[str, Any] | None]
    """
    A JSON object that the platform chooses, at most 4,096 bytes. It stays in the journal for
    ever, so it is not for personal data.
    """
    name: str
    """
    The display name, 1–255 characters. It stays in the journal for ever, so it is not for
    personal data.
    """
    timezone: NotRequired[str | None]
    """
    The IANA time zone in which the days and months of limits begin. UTC if it is absent.
    """


class WorkspacesQuery(TypedDict):
    """
    The query of a call.
    """

    name: NotRequired[str]
    """
    Only workspaces with a name in which a word begins with this text, in upper or lower case.
    """
    suspended: NotRequired[bool]
    """
    `true`: only suspended workspaces; `false`: only the others.
    """
    debt: NotRequired[bool]
    """
    `true`: only workspaces that owe credit; `false`: only the others.
    """
    unused_since: NotRequired[str]
    """
    Only workspaces without a charge at this time or later; one that was never charged counts from its creation.
    """
    limit: NotRequired[int]
    """
    The most rows on a page.
    """
    cursor: NotRequired[str]
    """
    The `next_cursor` of the page before; absent for the first page.
    """


class Alerts(TypedDict):
    """
    The low-balance thresholds of a workspace.
    """

    cooldown_hours: int
    """
    The hours after an alert in which its threshold does not fire again, rounded up.
    """
    emails: list[EmailRecipient] | None
    """
    The chosen recipients, or else the admins; and all who have muted a topic or whose address
    refuses e-mails. Null for a caller who does not manage the workspace.
    """
    recipients: str
    """
    Who gets e-mails: `chosen`, or `admins` while nobody is chosen.
    """
    thresholds: list[Threshold]
    """
    The thresholds: amounts first, then days of runway, each ascending.
    """


class AlertsRequest(TypedDict):
    """
    The thresholds of a workspace, the recipients of its e-mails, or both. They replace the current
    ones.
    """

    cooldown_hours: NotRequired[int]
    """
    The hours after an alert in which its threshold does not fire again; only together with
    `thresholds`.
    """
    emails: NotRequired[list[str] | None]
    """
    The addresses that get e-mails; they stay if it is null or left out. An empty list: the
    admins get them.
    """
    thresholds: NotRequired[list[ThresholdRequest]]
    """
    The thresholds; they stay if it is left out. Equal ones count once.
    """


class BurnRate(TypedDict):
    """
    The average use of a workspace, and how long its credit lasts.
    """

    available: int
    """
    The available credit, in micro-units.
    """
    available_usd: str
    """
    `available` in dollars, as an exact decimal text.
    """
    basis: str
    """
    What the forecast is made from: `weekday`, the mean of each weekday over the last 28 days;
    `average`, while there are less than 14 days; `none` if there is no forecast.
    """
    daily_average: int
    """
    What was charged less what was refunded on these days, divided by their number and rounded
    up, in micro-units. It is below zero if more was refunded.
    """
    daily_average_usd: str
    """
    `daily_average` in dollars, as an exact decimal text.
    """
    days: int
    """
    The complete days that the average counts; fewer than were asked for if the workspace is
    younger.
    """
    depletes_on: str | None
    """
    The day on which the available credit is used up; null if there is none.
    """
    lasts_until_next_grant: bool | None
    """
    Whether the credit lasts longer than to `next_grant_on`; null without such a day.
    """
    monthly_average: int
    """
    Thirty times `daily_average`.
    """
    monthly_average_usd: str
    """
    `monthly_average` in dollars, as an exact decimal text.
    """
    next_30_days: int
    """
    What is expected to be used in the next thirty days, of which the rest of today is the
    first; 0 if there is no forecast.
    """
    next_30_days_usd: str
    """
    `next_30_days` in dollars, as an exact decimal text.
    """
    next_grant_on: str | None
    """
    The day on which the subscription brings credit the next time; null if that is not known.
    """
    reason: str | None
    """
    Why `runway_days` is null: `no_recent_use`, `over_a_year` or `credit_grows`; else null.
    """
    rows: NotRequired[list[BurnRateRow] | None]
    """
    The parts of the average by the keys in `group_by`; absent without.
    """
    runway_days: int | None
    """
    The days from today to the one on which the available credit is used up; 0 is today, null if
    there is no such day.
    """
    timezone: str
    """
    The workspace's time zone, whose days are counted.
    """


class Charge(TypedDict):
    """
    A charge: the deduction for one run of an operation.
    """

    amount: int
    """
    The amount that was deducted: the price of the quantity, rounded up, in micro-units.
    """
    amount_usd: str
    """
    `amount` in dollars, as an exact decimal text.
    """
    balance: NotRequired[Available | None]
    created_at: str
    """
    When the charge was made.
    """
    deadline: str | None
    """
    When a pending charge is refunded if no outcome is reported; null if it is not pending.
    """
    draws: NotRequired[list[Draw] | None]
    """
    The grants that the charge drew from, less its refunds; only present if one charge is read.
    """
    id: str
    """
    The id of the charge.
    """
    member: str | None
    """
    The id of the member for whom the operation runs.
    """
    metadata: dict[str, Any] | None
    """
    Your product's JSON object.
    """
    meters: NotRequired[list[Meter] | None]
    """
    The meters and their prices, if the operation has meters.
    """
    operation: str
    """
    The id of the operation.
    """
    outcome: str | None
    """
    `succeeded`, `failed_system`, `failed_user`, `timed_out` or `reversed`; null if none was
    reported.
    """
    per: NotRequired[int | None]
    """
    The number of units for which `unit_price` is, if it is not one.
    """
    price_version: int
    """
    The version of the price book that priced the charge.
    """
    quantities: NotRequired[dict[str, int]]
    """
    The units of each meter that were charged, if the operation has meters.
    """
    quantity: int
    """
    The number of units that were charged; of all meters together.
    """
    reference: str | None
    """
    Your product's name for the run.
    """
    refunded_amount: int
    """
    The amount that was refunded so far, in micro-units.
    """
    refunded_amount_usd: str
    """
    `refunded_amount` in dollars, as an exact decimal text.
    """
    refunds: NotRequired[list[Refund] | None]
    """
    The refunds, oldest first; only present if one charge is read.
    """
    status: str
    """
    `pending`, `settled`, or `refunded` (in full).
    """
    unit_price: int | None
    """
    The price of one unit, or of `per` units, in micro-units; null if the operation has meters.
    """
    used_quantities: NotRequired[dict[str, int]]
    """
    The units of each meter that were used, if the charge was settled; only present if one
    charge is read.
    """
    worker: str | None
    """
    The id of the worker that runs the operation.
    """
    workspace: str
    """
    The id of the workspace that was charged.
    """


class Deliveries(TypedDict):
    """
    What is kept of the messages to a subscriber: a webhook endpoint, or the sender of mails.
    """

    attempts: list[DeliveryAttempt]
    """
    The newest attempts, newest first.
    """
    down: bool
    """
    True if so much has failed that nothing new is sent. One message is sent by the schedule;
    once it is accepted, the others follow.
    """
    exceptions: list[DeliveryException]
    """
    The messages that were not accepted, oldest first.
    """
    failing_since: str | None
    """
    Since when nothing was accepted; null if the last message was.
    """


class MailTest(TypedDict):
    """
    What became of a test mail.
    """

    accepted: int
    """
    For how many of them the relay took the mail.
    """
    data: list[MailTestRecipient]
    """
    Each recipient.
    """
    recipients: int
    """
    How many recipients there are.
    """


PriceSimulation = TypedDict(
    'PriceSimulation',
    {
        'from': str,
        'operations': list[PriceSimulationRow],
        'to': str,
        'total': PriceSimulationRow,
        'used_workspaces': int,
        'workspaces': list[PriceSimulationRow],
    },
)


Report = TypedDict(
    'Report',
    {
        'ageing': list[ReportAgeing],
        'credit': list[ReportCredit],
        'debt': ReportDebt,
        'from': str,
        'is_final': bool,
        'month': str,
        'revenue': list[ReportRevenue],
        'revenue_total': ReportRevenue,
        'to': str,
        'trial_balance': list[ReportAccount],
        'unmatched': list[ReportUnmatched],
        'workspaces': int,
    },
)


class Subscription(TypedDict):
    """
    A plan that runs, waits for its first payment, or has ended.
    """

    cancels_at: str | None
    """
    When it ends; null unless it was canceled.
    """
    change: SubscriptionChange | None
    checkout_url: NotRequired[str | None]
    """
    The page on which the first period is paid; absent unless it waits for that at Stripe.
    """
    due_usd: str
    """
    What waits to be paid now in dollars, without a change: the first period, or the oldest that
    is past due.
    """
    ended_at: str | None
    """
    When it ended; null before.
    """
    id: str
    """
    The id of the subscription.
    """
    next_plan: str | None
    """
    The id of the plan that begins with the next period; null if it stays.
    """
    payment: SubscriptionPayment
    """
    How it is paid.
    """
    period: SubscriptionPeriod | None
    plan: str
    """
    The id of its plan.
    """
    started_at: str
    """
    When it was started.
    """
    status: str
    """
    `pending` until the first payment, then `active`; `past_due` when a period has begun that
    was not paid; `canceled` when it ends with its period; then `ended`.
    """
    workspace: str
    """
    The id of the workspace.
    """


class TopUp(TypedDict):
    """
    Credit that is bought once.
    """

    amount_usd: str
    """
    What is paid, in dollars, as an exact decimal text, without tax.
    """
    created_at: str
    """
    When the top-up was opened.
    """
    credits: int
    """
    The credit that it buys, in micro-units.
    """
    credits_usd: str
    """
    `credits` in dollars, as an exact decimal text.
    """
    failure: str | None
    """
    Why it failed: `declined`, `declined_for_good`, `authentication_needed`, `not_paid` or
    `refused_by_provider`; null unless it failed.
    """
    grant: str | None
    """
    The id of the grant that the payment brought; null before.
    """
    id: str
    """
    The id of the top-up.
    """
    paid_at: str | None
    """
    When the payment was confirmed; null before.
    """
    payment: TopUpPayment
    """
    How it is paid.
    """
    receipt_url: NotRequired[str | None]
    """
    The receipt of the payment provider, if it took the money and answers. Only one top-up shows
    it, not a list. The provider may end the address after some weeks.
    """
    status: str
    """
    `pending` until the payment was confirmed, then `succeeded`; `failed` if it was not paid,
    `expired` if nobody paid it in time, or before its page was over.
    """
    workspace: str
    """
    The id of the workspace.
    """


Usage = TypedDict(
    'Usage',
    {
        'from': str,
        'rebuilding': bool,
        'rows': list[UsageRow],
        'timezone': str,
        'to': str,
        'total': UsageRow,
    },
)


class UsageChange(TypedDict):
    """
    The use of a group in both ranges, and what made the difference. A key is present if rows are
    grouped by it. `change` is exactly `by_quantity` + `by_price` + `by_refunds`.
    """

    after: UsageRow
    """
    The sums of the later range.
    """
    api_key: NotRequired[str | None]
    """
    The API key that opened the charges; null for those that a platform key opened.
    """
    before: UsageRow
    """
    The sums of the earlier range.
    """
    by_price: int
    """
    The part that comes from the price: what remains of the difference of what was charged. The
    mean price of a group also changes with the operations in it.
    """
    by_price_usd: str
    """
    `by_price` in dollars, as an exact decimal text.
    """
    by_quantity: int
    """
    The part that comes from the quantity: the difference of the quantities at the mean price of
    a unit before, rounded towards zero. Without use before it is all that was charged after.
    """
    by_quantity_usd: str
    """
    `by_quantity` in dollars, as an exact decimal text.
    """
    by_refunds: int
    """
    The part that comes from refunds: what was refunded before less what was refunded after.
    """
    by_refunds_usd: str
    """
    `by_refunds` in dollars, as an exact decimal text.
    """
    change: int
    """
    The net use after less the one before, in micro-units.
    """
    change_usd: str
    """
    `change` in dollars, as an exact decimal text.
    """
    member: NotRequired[str | None]
    """
    The member; null for charges without one.
    """
    operation: NotRequired[str | None]
    """
    The operation.
    """
    worker: NotRequired[str | None]
    """
    The worker; null for charges without one.
    """


class UsageChanges(TypedDict):
    """
    What changed in the use of a workspace between two ranges.
    """

    after: Range
    """
    The later range that was counted.
    """
    before: Range
    """
    The earlier range that was counted.
    """
    rebuilding: bool
    """
    True if sums of days are being made in the background, so that the answer takes longer. The
    numbers are right all the same.
    """
    rows: list[UsageChange]
    """
    A row for each group that has use in one of the ranges. The largest change is first, whether
    up or down.
    """
    timezone: str
    """
    The IANA time zone of days.
    """
    total: UsageChange
    """
    The sum of all rows.
    """


class BatchResult(TypedDict):
    """
    The result of an item: what a single request would have been answered.
    """

    charge: NotRequired[Charge | None]
    problem: NotRequired[Problem | None]
    replayed: NotRequired[bool]
    """
    True if this is the first result again; else absent.
    """
    status: int
    """
    The status a single request would have had.
    """


class Batch(TypedDict):
    """
    The results of a batch.
    """

    results: list[BatchResult]
    """
    One result per item, in the order of the items.
    """
