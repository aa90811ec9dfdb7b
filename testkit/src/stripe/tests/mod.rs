//! Tests of the stand-in over HTTP: what a client sees, and what the controls do.

mod billing;
mod faults;
mod payments;

use std::time::Duration;

use serde_json::Value;

use super::{API_VERSION, Options, StripeStandIn};

/// A client with the headers that Stripe wants.
struct Client {
    stripe: StripeStandIn,
}

impl Client {
    fn start() -> Client {
        Client::with(Options::default())
    }

    fn with(options: Options) -> Client {
        Client { stripe: StripeStandIn::start(options) }
    }

    /// A request; the path holds the query. `None` if the connection was cut.
    fn send(&self, method: &str, path: &str, form: &str, key: Option<&str>) -> Option<(u16, Value)> {
        send(self.stripe.base_url(), method, path, form, key)
    }

    #[track_caller]
    fn post(&self, path: &str, form: &str) -> Value {
        let (status, value) = self.send("POST", path, form, None).expect("it is answered");
        assert_eq!(status, 200, "{value:#}");
        value
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let (status, value) = self.send("GET", path, "", None).expect("it is answered");
        assert_eq!(status, 200, "{value:#}");
        value
    }

    /// A refused request: its status and its code.
    #[track_caller]
    fn refused(&self, method: &str, path: &str, form: &str) -> (u16, String) {
        let (status, value) = self.send(method, path, form, None).expect("it is answered");
        assert_ne!(status, 200, "{value:#}");
        (status, value["error"]["code"].as_str().unwrap_or_default().to_owned())
    }

    fn customer(&self) -> String {
        id(&self.post("customers", "email=payer%40example.com&metadata[workspace]=acme"))
    }

    /// A monthly price.
    fn price(&self, cents: i64) -> String {
        let form = format!(
            "currency=usd&unit_amount={cents}&recurring[interval]=month&product_data[name]=Plan%20{cents}"
        );
        id(&self.post("prices", &form))
    }

    /// An open session for a subscription.
    fn subscription_session(&self, customer: &str, price: &str) -> String {
        let form = format!(
            "mode=subscription&customer={customer}&success_url=http%3A%2F%2Fa.example%2F\
             &line_items[0][price]={price}&line_items[0][quantity]=1\
             &subscription_data[metadata][workspace]=acme\
             &subscription_data[billing_mode][type]=flexible"
        );
        id(&self.post("checkout/sessions", &form))
    }

    /// An active subscription: the customer, the subscription.
    fn subscribe(&self, price: &str) -> (String, String) {
        let customer = self.customer();
        let session = self.subscription_session(&customer, price);
        self.stripe.pay_checkout(&session, super::Card::Good).expect("the card is good");
        let subscription = self.stripe.object(&session, &[])["subscription"].as_str().map(str::to_owned);
        (customer, subscription.expect("the session has started one"))
    }

    /// A paid top-up: the customer, the PaymentIntent.
    fn top_up(&self, cents: i64) -> (String, String) {
        let customer = self.customer();
        let session = id(&self.post("checkout/sessions", &top_up_form(&customer, cents)));
        self.stripe.pay_checkout(&session, super::Card::Good).expect("the card is good");
        let intent = self.stripe.object(&session, &[])["payment_intent"].as_str().map(str::to_owned);
        (customer, intent.expect("the session was paid"))
    }
}

fn top_up_form(customer: &str, cents: i64) -> String {
    format!(
        "mode=payment&ui_mode=hosted_page&customer={customer}&client_reference_id=top_up_1\
         &success_url=http%3A%2F%2Fa.example%2F&line_items[0][quantity]=1\
         &line_items[0][price_data][currency]=usd&line_items[0][price_data][unit_amount]={cents}\
         &line_items[0][price_data][tax_behavior]=exclusive\
         &line_items[0][price_data][product_data][name]=Credit&automatic_tax[enabled]=true\
         &payment_intent_data[metadata][top_up]=t1&payment_intent_data[setup_future_usage]=off_session"
    )
}

fn id(value: &Value) -> String {
    value["id"].as_str().expect("an object has an id").to_owned()
}

fn send(base: &str, method: &str, path: &str, form: &str, key: Option<&str>) -> Option<(u16, Value)> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(60)))
        .build();
    let agent = ureq::Agent::new_with_config(config);
    let url = format!("{base}/v1/{path}");
    let headed = |name: &str| match name {
        "authorization" => "Bearer rk_test_standin",
        "stripe-version" => API_VERSION,
        _ => key.unwrap_or_default(),
    };
    let names = ["authorization", "stripe-version", "idempotency-key"];
    let names = names.iter().filter(|name| **name != "idempotency-key" || key.is_some());
    let answer = match method {
        "POST" => {
            let request = agent.post(&url).header("content-type", "application/x-www-form-urlencoded");
            names.fold(request, |request, name| request.header(*name, headed(name))).send(form)
        }
        "DELETE" => {
            names.fold(agent.delete(&url), |request, name| request.header(*name, headed(name))).call()
        }
        _ => names.fold(agent.get(&url), |request, name| request.header(*name, headed(name))).call(),
    };
    let mut answer = answer.ok()?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().read_to_string().ok()?;
    Some((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
}
