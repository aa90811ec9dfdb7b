//! What people do with plans in random histories: those who buy, the payers at Stripe's pages, the
//! operators at its dashboard, and months that pass.

use tollkeeper_testkit::stripe::Card;

use super::histories::{CARDS, History};
use super::*;

impl History {
    /// Somebody does something about a plan.
    pub async fn act_on_plan(&mut self, name: &str) {
        match self.random.below(100) {
            0..20 => self.choose(name).await,
            20..26 => self.change_at_once(name).await,
            26..34 => self.choose_again(name).await,
            34..54 => self.pay(name),
            54..60 => self.cancel_plan(name).await,
            60..65 => self.look_at_plan(name).await,
            65..73 => self.change_card_of_plan(),
            73..79 => self.pay_invoice(),
            79..86 => self.act_at_stripe(),
            _ if self.is_dying => self.pass_time(),
            _ => self.pass_months().await,
        }
    }

    async fn choose(&mut self, name: &str) {
        let (plan, ..) = *self.random.pick(&PLANS);
        self.ask_for_plan(name, plan).await;
    }

    /// The plan that runs or waits is asked for once more.
    async fn choose_again(&mut self, name: &str) {
        let shown = self.shop.ask("GET", &path(name), "", "").await;
        if shown.status == 200 {
            self.ask_for_plan(name, text(&shown.json(), "plan")).await;
        }
    }

    async fn ask_for_plan(&mut self, name: &str, plan: &str) {
        let body = format!(r#"{{"plan":"{plan}"}}"#);
        let reply = self.shop.ask("PUT", &path(name), "", &body).await;
        assert!(matches!(reply.status, 200 | 409 | 422 | 503), "{}", reply.text);
        self.note_page(name, &reply.json()["checkout_url"]);
    }

    /// Two requests come at the same time, and webhooks and jobs too.
    async fn change_at_once(&mut self, name: &str) {
        let (path, shop) = (path(name), &self.shop);
        let ((one, ..), (other, ..)) = (*self.random.pick(&PLANS), *self.random.pick(&PLANS));
        let body = |plan: &str| format!(r#"{{"plan":"{plan}"}}"#);
        let (one, other) = (body(one), body(other));
        let first = shop.ask("PUT", &path, "", &one);
        let second = if self.random.percent(50) {
            shop.ask("PUT", &path, "", &other)
        } else {
            shop.ask("DELETE", &path, "", "")
        };
        let (first, second, ()) = futures_util::join!(first, second, shop.do_all_at_once());
        for reply in [first, second] {
            assert!(matches!(reply.status, 200 | 404 | 409 | 422 | 503), "{}", reply.text);
            self.note_page(name, &reply.json()["checkout_url"]);
        }
    }

    async fn cancel_plan(&mut self, name: &str) {
        let reply = self.shop.ask("DELETE", &path(name), "", "").await;
        assert!(matches!(reply.status, 200 | 404 | 503), "{}", reply.text);
    }

    /// Somebody looks at a plan, which may ask Stripe, and at what another one would cost.
    async fn look_at_plan(&mut self, name: &str) {
        let shown = self.shop.ask("GET", &path(name), "", "").await;
        assert!(matches!(shown.status, 200 | 404), "{}", shown.text);
        self.note_page(name, &shown.json()["checkout_url"]);
        let (plan, ..) = *self.random.pick(&PLANS);
        let preview = format!("{}/preview", path(name));
        let reply = self.shop.ask("POST", &preview, "", &format!(r#"{{"plan":"{plan}"}}"#)).await;
        assert!(matches!(reply.status, 200 | 409 | 422), "{}", reply.text);
    }

    /// A subscription that goes on at Stripe.
    fn some_plan(&mut self) -> Option<Value> {
        let all = self.shop.stripe.objects("subscription");
        let live: Vec<&Value> = all.iter().filter(|one| one["status"] != "canceled").collect();
        if live.is_empty() { None } else { Some((*self.random.pick(&live)).clone()) }
    }

    /// The card with which periods are paid becomes another one.
    fn change_card_of_plan(&mut self) {
        let Some(plan) = self.some_plan() else { return };
        let card = if self.random.percent(50) { Card::Good } else { *self.random.pick(&CARDS) };
        self.shop.stripe.set_card(text(&plan, "default_payment_method"), card);
    }

    /// The payer pays what is open, on its page, perhaps long after.
    fn pay_invoice(&mut self) {
        let all = self.shop.stripe.objects("invoice");
        let can_be_paid = |one: &&Value| matches!(text(one, "status"), "open" | "uncollectible");
        let open: Vec<&Value> = all.iter().filter(can_be_paid).collect();
        if !open.is_empty() {
            let &invoice = self.random.pick(&open);
            let invoice = text(invoice, "id");
            // A declined payer may try again.
            let _ = self.shop.stripe.pay_invoice(invoice, Card::Good);
        }
    }

    /// An operator or a payer does something at Stripe's pages.
    fn act_at_stripe(&mut self) {
        let Some(plan) = self.some_plan() else { return };
        let id = text(&plan, "id");
        let is_ending = plan["cancel_at"].is_i64();
        match self.random.below(12) {
            8 | 9 => self.shop.stripe.set_coupon_once(id, *self.random.pick(&[10, 30])),
            10 | 11 => self.shop.stripe.add_to_next_invoice(id, *self.random.pick(&[1, 700, 4_000])),
            0..3 if !is_ending => self.shop.stripe.cancel_in_portal(id),
            0..5 if is_ending => self.shop.stripe.resume_elsewhere(id),
            5 => self.shop.stripe.end_subscription(id),
            6 => {
                let latest = text(&plan, "latest_invoice").to_owned();
                if self.shop.stripe.object(&latest, &[])["status"] == "open" {
                    self.shop.stripe.void_invoice(&latest);
                }
            }
            _ => {}
        }
    }

    /// Up to two months pass, in which the server runs. What it does not hear it finds within the
    /// 30 days in which Stripe lists events.
    async fn pass_months(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            self.have_a_good_hour().await;
            for _ in 0..1 + self.random.below(4) {
                self.release();
                self.shop.pass_seconds(5 * DAY);
                if self.random.percent(80) {
                    self.shop.deliver_due().await;
                }
                if self.random.percent(80) {
                    self.shop.poll().await;
                }
            }
        }
    }
}

fn path(name: &str) -> String {
    format!("/v1/workspaces/{name}/subscription")
}
