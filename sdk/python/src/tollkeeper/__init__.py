"""Client of Tollkeeper: charge an operation before it runs, and refund it if it fails.

`Client` and `AsyncClient` have the same calls, grouped by resource, and `run`. `verify_webhook`
checks messages of the server. Types of requests and responses are in `tollkeeper.types`.
"""

from ._async.client import AsyncClient
from ._async.sender import AsyncPages
from ._call import (
    CallOptions,
    EntriesAfter,
    KeyedCharge,
    KeyedGrant,
    KeyedOptions,
    KeyedPaymentRefund,
    KeyedSubscription,
    KeyedTopUp,
    Page,
)
from ._call import VERSION as __version__
from ._running import Running, RunResult
from ._stream import StreamEvent
from ._sync.client import Client
from ._sync.sender import Pages
from .errors import (
    ApiError,
    ConnectionFailedError,
    DeadlineExceededError,
    DebtOutstandingError,
    InsufficientCreditsError,
    LimitExceededError,
    OperationAlreadyPaidError,
    OutcomeNotReportedError,
    PaymentRequiredError,
    TollkeeperError,
    UnexpectedAnswerError,
    UserError,
    WebhookVerificationError,
)
from .webhooks import WebhookMessage, verify_webhook

__all__ = [
    "ApiError",
    "AsyncClient",
    "AsyncPages",
    "CallOptions",
    "Client",
    "ConnectionFailedError",
    "DeadlineExceededError",
    "DebtOutstandingError",
    "EntriesAfter",
    "InsufficientCreditsError",
    "KeyedCharge",
    "KeyedGrant",
    "KeyedOptions",
    "KeyedPaymentRefund",
    "KeyedSubscription",
    "KeyedTopUp",
    "LimitExceededError",
    "OperationAlreadyPaidError",
    "OutcomeNotReportedError",
    "Page",
    "Pages",
    "PaymentRequiredError",
    "RunResult",
    "Running",
    "StreamEvent",
    "TollkeeperError",
    "UnexpectedAnswerError",
    "UserError",
    "WebhookMessage",
    "WebhookVerificationError",
    "__version__",
    "verify_webhook",
]
