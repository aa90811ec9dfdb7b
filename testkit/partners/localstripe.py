"""The same scenario against localstripe, a stand-in that others have written.

Usage: localstripe.py LOCALSTRIPE
  LOCALSTRIPE  the program, installed from PyPI

It runs `shared` and `shared_plans` of stripe_sdk.py: what localstripe knows must behave there as in our stand-in.
"""

import socket
import subprocess
import sys
import tempfile
import time

import stripe

from stripe_sdk import shared, shared_plans


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process):
    for _ in range(600):
        assert process.poll() is None, "localstripe has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("localstripe does not answer")


def main(program):
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        process = subprocess.Popen([program, "--port", str(port), "--from-scratch"], cwd=directory,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            stripe.api_base, stripe.api_key, stripe.max_network_retries = f"http://127.0.0.1:{port}", "sk_test_12345", 0
            make_card = lambda number: stripe.PaymentMethod.create(
                type="card", card={"number": number, "exp_month": 12, "exp_year": 2040, "cvc": "123"})
            shared(make_card, True)

            def start(payer, cents):
                plan = stripe.Plan.create(amount=cents, currency="usd", interval="month", product={"name": "Plan"})
                return stripe.Subscription.create(customer=payer.id, items=[{"plan": plan.id}]).id

            shared_plans(make_card, start, type="service")
        finally:
            process.terminate()
            process.wait()
    print("localstripe: the shared scenarios of payments and of plans passed")


if __name__ == "__main__":
    main(sys.argv[1])
