//! Why something was not done: the texts of problems, by code and field.
//!
//! English texts are those of the API, with the figures of the case. Another language has a text of
//! its own for each refusal that a form or a page of the dashboard can meet, and for all others a
//! sentence with the code.

use serde_json::Value;

use crate::http::problem::{Code, Problem};

/// The texts of problems.
#[derive(Debug)]
pub struct RefusalWords {
    /// The title of the page of a problem.
    pub title: fn(Code) -> &'static str,
    /// What happened, and what to do.
    pub text: fn(&Problem) -> String,
}

pub(super) const ENGLISH: RefusalWords =
    RefusalWords { title: Code::title, text: |problem| problem.detail.to_string() };

pub(super) const GERMAN: RefusalWords = RefusalWords {
    title: |code| match code {
        Code::Forbidden => "Nicht erlaubt",
        Code::PortalLinkExpired | Code::MailLinkInvalid => "Dieser Link gilt nicht",
        Code::PaymentProviderUnavailable => "Der Zahlungsanbieter antwortet nicht",
        Code::Overloaded => "Der Server ist überlastet",
        code => match code.status() {
            404 => "Nicht gefunden",
            429 => "Zu viele Anfragen",
            500.. => "Der Server hat einen Fehler",
            _ => "Das ging nicht",
        },
    },
    text: |problem| {
        let text = match problem.code {
            Code::InvalidField => field(member(problem, "field").and_then(Value::as_str).unwrap_or_default()),
            Code::RateLimited => {
                return match member(problem, "retry_after_seconds").and_then(Value::as_i64) {
                    Some(seconds) => format!("Das war zu oft. Warten Sie {seconds} s."),
                    None => "Das war zu oft. Warten Sie einen Moment.".to_owned(),
                };
            }
            code => sentence(code),
        };
        match text {
            Some(text) => text.to_owned(),
            None => format!("Das wurde nicht ausgeführt ({}).", problem.code.as_str()),
        }
    },
};

/// A further member of a problem.
fn member<'p>(problem: &'p Problem, name: &str) -> Option<&'p Value> {
    problem.members.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// The sentence about a code in German, if there is one.
const fn sentence(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::NotFound => "Diese Seite gibt es nicht.",
        Code::ChargeNotFound => "Dieser Arbeitsbereich hat keine solche Buchung.",
        Code::OperationNotFound => "Die Preisliste hat keinen solchen Vorgang.",
        Code::GrantNotFound => "Dieser Arbeitsbereich hat keine solche Gutschrift.",
        Code::TopUpNotFound => "Dieser Arbeitsbereich hat keine solche Aufladung.",
        Code::PaymentMethodNotFound => "Es ist keine Karte hinterlegt.",
        Code::AutoTopUpNotFound => "Es wird nicht von selbst aufgeladen.",
        Code::PlanNotFound => "Diesen Tarif gibt es nicht, oder er wird nicht mehr angeboten.",
        Code::SubscriptionNotFound => "Dieser Arbeitsbereich hat keinen Tarif.",
        Code::MemberNotFound => "Dieser Arbeitsbereich hat kein solches Mitglied.",
        Code::RecipientNotFound => "Dieser Arbeitsbereich hat keinen solchen Empfänger von E-Mails.",
        Code::ApiKeyNotFound => "Diesen API-Schlüssel gibt es nicht, oder er wurde widerrufen.",
        Code::Forbidden => {
            "Das dürfen nur Admins, oder die Seite ist veraltet. Laden Sie sie neu und senden Sie das Formular \
             noch einmal."
        }
        Code::WorkspaceSuspended => "Die Plattform hat diesen Arbeitsbereich gesperrt.",
        Code::DebtOutstanding => {
            "Der Arbeitsbereich schuldet Guthaben. Was aufgeladen wird, begleicht das zuerst."
        }
        Code::InsufficientCredits => "Das Guthaben reicht nicht. Es wurde nichts abgebucht.",
        Code::LastAdmin => {
            "Das ist der letzte Admin des Arbeitsbereichs. Machen Sie zuerst ein anderes Mitglied zum Admin."
        }
        Code::PaymentMethodRequired => "Dafür muss eine Karte hinterlegt sein.",
        Code::PlanIntervalDiffers => {
            "Der Tarif wird in anderen Abständen bezahlt als der jetzige. Kündigen Sie den jetzigen, und wählen Sie \
             den anderen, wenn er geendet hat."
        }
        Code::SubscriptionExists => {
            "Der Tarif wird beim Zahlungsanbieter gerade geändert oder beendet. Versuchen Sie es gleich noch einmal."
        }
        Code::NothingDue => "Es wartet keine Zahlung.",
        Code::MailNotSetUp => "Dieser Server sendet keine E-Mails.",
        Code::IdempotencyKeyReused => "Dieses Formular wurde schon gesendet. Laden Sie die Seite neu.",
        Code::PortalLinkExpired => {
            "Ein Link zum Anmelden gilt einmal und zehn Minuten lang. Öffnen Sie die Abrechnung wieder aus Ihrem \
             Produkt."
        }
        Code::MailLinkInvalid => {
            "Der Link ist nicht vollständig, oder was er betrifft, hat sich seit der E-Mail geändert."
        }
        Code::InvalidParameter => "Diese Adresse ist nicht richtig. Beginnen Sie bei der Übersicht.",
        Code::MethodNotAllowed => "Diese Adresse kann man nicht so aufrufen. Beginnen Sie bei der Übersicht.",
        Code::BodyTooLarge => "Das Formular ist zu lang.",
        Code::PaymentProviderUnavailable => "Versuchen Sie es gleich noch einmal.",
        _ => return None,
    })
}

/// The sentence about a field in German, if there is one.
fn field(name: &str) -> Option<&'static str> {
    Some(match name {
        "members" => "Es gibt schon 1.000 Mitglieder, mehr können es nicht sein.",
        "scopes" => "Wählen Sie mindestens ein Recht.",
        "expires_at" => "Der Tag muss in der Zukunft liegen.",
        "api_keys" => "Es gibt schon 100 API-Schlüssel. Widerrufen Sie zuerst einen.",
        "emails" => "Es gibt schon 20 Empfänger, mehr können es nicht sein.",
        "role" => "Wählen Sie Admin oder Mitglied.",
        "top_ups" => "Es warten schon zu viele Aufladungen auf ihre Zahlung.",
        "amount" | "amount_usd" => "Der Betrag ist zu klein oder zu groß.",
        "cooldown_hours" => "Geben Sie 0 bis 8784 Stunden ein.",
        "limits" => "Es gibt schon 200 Grenzen, mehr können es nicht sein.",
        "thresholds" => "Es können höchstens 10 Warnungen sein.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn text(language: Language, problem: &Problem) -> String {
        (language.words().refusals.text)(problem)
    }

    #[test]
    fn a_refusal_has_a_german_text_or_a_sentence_with_its_code() {
        let (english, german) = (Language::English, Language::German);
        let last = Problem::new(Code::LastAdmin, "This is the last admin.");
        assert_eq!(text(english, &last), "This is the last admin.");
        assert!(text(german, &last).starts_with("Das ist der letzte Admin"));
        let often = Problem::new(Code::RateLimited, "Wait 9 s.").with("retry_after_seconds", 9);
        assert_eq!(text(german, &often), "Das war zu oft. Warten Sie 9 s.");
        let full = Problem::field("emails", "are 20 already, the most there can be");
        assert_eq!(text(english, &full), "`emails` are 20 already, the most there can be.");
        assert!(text(german, &full).contains("20 Empfänger"));
        let other = Problem::field("lines", "must be 0 to 2^53 − 1");
        assert_eq!(text(german, &other), "Das wurde nicht ausgeführt (invalid_field).");
    }

    #[test]
    fn no_german_title_is_an_english_one() {
        for code in Code::ALL {
            assert_ne!((GERMAN.title)(*code), code.title(), "{code:?}");
        }
    }
}
