//! The provider over HTTP: Stripe, or who speaks as it does.
//!
//! Promise: one call of [`Provider::send`] is one request at most, and none whose answer is taken for more than it says. Whether
//! something exists is asked with lists that are consistent with what was written before, never with a search that may lag.

use super::{
    PaymentsError, answer,
    request::{self, About, REFUNDS, escaped, group},
    seen::Seen,
};
use async_trait::async_trait;
use haul_core::{
    Timestamp,
    config::PaymentsConfig,
    pace::Destination,
    payment::{
        Answer, ListOf, LookUp, Object, ObjectPage, ObjectState, Operation, OperationKind, Payment, Provider,
        ProviderRequest,
    },
};
use haul_outgoing::{Call, CallError, Outgoing, SecretName, Secrets};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::ExposeSecret;
use serde_json::Value;
use std::{error::Error, time::Duration};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const VERSION: HeaderName = HeaderName::from_static("stripe-version");
const CHARGES: &str = "/v1/charges";
/// Objects on a page of a list: the most that the provider gives.
const PAGE: usize = 100;
/// Pages of an intent's refunds that are read: a payment has a hundred operations at most.
const REFUND_PAGES_MAX: usize = 10;

/// A provider, and who we are there. Knows no payment.
#[derive(Clone)]
pub struct HttpProvider {
    outgoing: Outgoing,
    secrets: Secrets,
    url: String,
    secret: SecretName,
    version: String,
    timeout: Duration,
    /// As whom it is paced.
    destination: Option<Destination>,
    seen: Seen,
}

/// Why a question has no answer, for people.
struct NoAnswer(String);

impl HttpProvider {
    /// The provider of these settings; none where they name none.
    ///
    /// # Errors
    /// When the settings cannot be used, whatever the provider says.
    pub fn new(outgoing: &Outgoing, secrets: &Secrets, config: &PaymentsConfig) -> Result<Option<Self>, PaymentsError> {
        let Some(url) = config.url.clone() else { return Ok(None) };
        let target = outgoing.check(&url).map_err(PaymentsError::Url)?;
        Ok(Some(Self {
            outgoing: outgoing.clone(),
            secrets: secrets.clone(),
            url,
            secret: SecretName::new(&*config.secret).map_err(PaymentsError::Secret)?,
            version: config.version.clone(),
            timeout: config.timeout.as_duration(),
            destination: Destination::new(target.destination().to_string()).ok(),
            seen: Seen::default(),
        }))
    }

    /// As whom it is paced; none where it cannot be.
    pub(super) fn destination(&self) -> Option<&Destination> {
        self.destination.as_ref()
    }

    /// The same provider for one attempt, which wants to know what its calls show about it.
    pub(super) fn seen_by(&self, seen: &Seen) -> Self {
        Self { seen: seen.clone(), ..self.clone() }
    }

    async fn call_out(&self, call: Call) -> Result<haul_outgoing::Answer, CallError> {
        let sent = self.outgoing.send(call).await;
        self.seen.note(&sent);
        sent
    }

    /// A request that is not sent yet. An error says what an operator can mend.
    async fn call(&self, method: Method, path: &str) -> Result<Call, Box<dyn Error + Send + Sync>> {
        let mut call = Call::new(method, self.outgoing.check(&format!("{}{path}", self.url))?);
        let secret = self.secrets.resolve(&self.secret).await?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {}", secret.expose_secret()))?;
        authorization.set_sensitive(true);
        call.headers = HeaderMap::from_iter([
            (AUTHORIZATION, authorization),
            (VERSION, HeaderValue::try_from(self.version.as_str())?),
        ]);
        call.timeout = Some(self.timeout);
        Ok(call)
    }

    async fn post(&self, key: &str, request: &ProviderRequest) -> Result<Call, Box<dyn Error + Send + Sync>> {
        let mut call = self.call(Method::POST, &request.path).await?;
        call.body = request.body.clone();
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        call.headers.insert(IDEMPOTENCY_KEY, HeaderValue::try_from(key)?);
        Ok(call)
    }

    /// Asks for an object or a list.
    async fn get(&self, path: &str) -> Result<Value, NoAnswer> {
        let call = self.call(Method::GET, path).await.map_err(|error| NoAnswer(error.to_string()))?;
        let answer = self.call_out(call).await.map_err(|error| NoAnswer(error.to_string()))?;
        if !answer.status.is_success() || answer.truncated {
            return Err(NoAnswer(format!("the provider answered {}", answer.status)));
        }
        serde_json::from_slice(&answer.body).map_err(|_| NoAnswer("the provider's answer is no JSON".to_owned()))
    }

    /// A page of a list: its objects as they came, and whether there are more.
    async fn page(&self, path: &str) -> Result<(Vec<Value>, bool), NoAnswer> {
        let list = self.get(path).await?;
        match (list["data"].as_array(), list["has_more"].as_bool()) {
            (Some(data), Some(has_more)) => Ok((data.clone(), has_more)),
            _ => Err(NoAnswer("the provider's answer is no list".to_owned())),
        }
    }

    /// All charges that were made for a payment, whichever keys they were sent under.
    async fn look_up_charge(&self, payment: &Payment) -> Result<LookUp, NoAnswer> {
        let path = format!("{CHARGES}?limit={PAGE}&transfer_group={}", escaped(&group(payment.id)));
        let (charges, has_more) = self.page(&path).await?;
        if has_more {
            return Err(NoAnswer("the provider lists too many charges for one payment".to_owned()));
        }
        found(About::Charge, &charges, |object| object.payment == Some(payment.id))
    }

    /// A capture is a state of what was charged.
    async fn look_up_capture(&self, payment: &Payment) -> Result<LookUp, NoAnswer> {
        let Some(charged) = payment.charged_object() else { return Ok(LookUp::Absent) };
        let intent = self.get(&request::intent(charged)).await?;
        if intent["status"] == "requires_capture" {
            return Ok(LookUp::Absent);
        }
        let object = answer::object(About::Capture, &intent);
        object.map(LookUp::Found).ok_or_else(|| NoAnswer("the provider's answer is no PaymentIntent".to_owned()))
    }

    async fn look_up_refund(&self, payment: &Payment, operation: &Operation) -> Result<LookUp, NoAnswer> {
        let Some(charged) = payment.charged_object() else { return Ok(LookUp::Absent) };
        let list = format!("{REFUNDS}?limit={PAGE}&payment_intent={}", escaped(charged));
        let (mut refunds, mut after) = (Vec::new(), String::new());
        for _ in 0..REFUND_PAGES_MAX {
            let (page, has_more) = self.page(&format!("{list}{after}")).await?;
            let last = page.last().and_then(|refund| refund["id"].as_str()).unwrap_or_default();
            after = format!("&starting_after={}", escaped(last));
            refunds.extend(page);
            if !has_more {
                let is_it =
                    |object: &Object| object.payment == Some(payment.id) && object.operation == Some(operation.number);
                return found(About::Refund, &refunds, is_it);
            }
        }
        Err(NoAnswer("the provider lists too many refunds for one payment".to_owned()))
    }
}

/// Which of these it is. What was declined counts only when nothing else was made.
fn found(about: About, listed: &[Value], is_it: impl Fn(&Object) -> bool) -> Result<LookUp, NoAnswer> {
    let objects: Option<Vec<Object>> = listed.iter().map(|value| answer::object(about, value)).collect();
    // What cannot be read could be the one.
    let objects = objects.ok_or_else(|| NoAnswer("the provider lists what cannot be read".to_owned()))?;
    let (declined, mut made): (Vec<Object>, Vec<Object>) =
        objects.into_iter().filter(is_it).partition(|object| matches!(object.state, ObjectState::Declined { .. }));
    Ok(match made.len() {
        0 => declined.into_iter().next().map_or(LookUp::Absent, LookUp::Found),
        1 => LookUp::Found(made.remove(0)),
        count => LookUp::Several(u32::try_from(count).unwrap_or(u32::MAX)),
    })
}

#[async_trait]
impl Provider for HttpProvider {
    fn request(&self, payment: &Payment, operation: &Operation) -> ProviderRequest {
        request::of(payment, operation)
    }

    async fn send(&self, key: &str, request: &ProviderRequest) -> Answer {
        #[cfg(feature = "broken")]
        let key = &crate::broken::key_of_send(key);
        let call = match self.post(key, request).await {
            Ok(call) => call,
            Err(error) => {
                tracing::warn!(cause = %error, "the payment provider cannot be called with these settings");
                return Answer::TurnedAway { after: None };
            }
        };
        match self.call_out(call).await {
            Ok(answer) => answer::read(About::of(&request.path), &answer),
            Err(CallError::Refused(_) | CallError::NotSent { .. }) => Answer::TurnedAway { after: None },
            Err(CallError::Unknown { .. } | CallError::TooLarge { .. }) => Answer::Unknown { after: None },
        }
    }

    async fn look_up(&self, payment: &Payment, operation: &Operation) -> LookUp {
        #[cfg(feature = "broken")]
        if crate::broken::makes_a_key_per_attempt() {
            return LookUp::Absent;
        }
        let looked_up = match operation.kind {
            OperationKind::Charge => self.look_up_charge(payment).await,
            OperationKind::Capture => self.look_up_capture(payment).await,
            OperationKind::Refund => self.look_up_refund(payment, operation).await,
        };
        looked_up.unwrap_or_else(|NoAnswer(why)| LookUp::Unclear(why))
    }

    async fn list(&self, of: ListOf, since: Timestamp, cursor: Option<&str>) -> Result<ObjectPage, String> {
        let (list, about) = match of {
            ListOf::Charges => (CHARGES, About::Charge),
            ListOf::Refunds => (REFUNDS, About::Refund),
        };
        let after = cursor.map_or_else(String::new, |cursor| format!("&starting_after={}", escaped(cursor)));
        let seconds = since.as_ms() / 1_000;
        let path = format!("{list}?created%5Bgte%5D={seconds}&limit={PAGE}{after}");
        let (listed, has_more) = self.page(&path).await.map_err(|NoAnswer(why)| why)?;
        // The list goes on behind its last entry, which for a charge is not what it is known by.
        let last = listed.last().and_then(|value| value["id"].as_str()).map(str::to_owned);
        let objects = listed.iter().filter_map(|value| answer::object(about, value)).collect();
        Ok(ObjectPage { objects, next: last.filter(|_| has_more) })
    }
}
