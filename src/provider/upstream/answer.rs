//! What came back: its body within a bound, and what its headers tell about time.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::{DATE, HeaderName, RETRY_AFTER};

use crate::secret::WipedBuffer;

/// No answer we ask for is anywhere near this long, in bytes.
pub const LARGEST_ANSWER: usize = 256 * 1024;

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The server's clock, in whole seconds.
    pub date: Option<SystemTime>,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// `X-Request-Id`, for the server's support desk.
    pub request_id: Option<String>,
    pub body: WipedBuffer,
}

/// Why there is no answer.
pub(super) enum Trouble {
    TooLarge,
    Broken(reqwest::Error),
}

/// Reads the whole answer.
pub(super) async fn read(mut response: Response, host: &str) -> Result<Answer, Trouble> {
    let date = header(&response, DATE).and_then(http_date);
    let retry_after = header(&response, RETRY_AFTER).and_then(|text| retry_after(text, date));
    let request_id = header(&response, HeaderName::from_static("x-request-id"));
    let request_id = request_id.map(str::to_owned);
    let status = response.status().as_u16();
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    let mut body = WipedBuffer::with_capacity(announced.min(LARGEST_ANSWER));
    while let Some(chunk) = response.chunk().await.map_err(Trouble::Broken)? {
        if body.as_ref().len() + chunk.len() > LARGEST_ANSWER {
            return Err(Trouble::TooLarge);
        }
        body.extend(&chunk);
    }
    tracing::debug!(
        host,
        status,
        bytes = body.as_ref().len(),
        "upstream answered"
    );
    Ok(Answer {
        status,
        date,
        retry_after,
        request_id,
        body,
    })
}

fn header(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// RFC 9110, section 5.6.7: the fixed format, which is one that RFC 2822 allows.
fn http_date(text: &str) -> Option<SystemTime> {
    let parser = jiff::fmt::rfc2822::DateTimeParser::new();
    let moment = parser.parse_timestamp(text).ok()?;
    let seconds = u64::try_from(moment.as_second()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// RFC 9110, section 10.2.3: seconds, or a date, which is read on the server's own clock.
fn retry_after(text: &str, date: Option<SystemTime>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = http_date(text)?;
    Some(until.duration_since(date?).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{http_date, retry_after};

    #[test]
    fn a_pause_is_read_in_both_spellings() {
        let date = http_date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(
            date,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777))
        );
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("soon", None),
        ] {
            assert_eq!(
                retry_after(text, date),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", None), None);
    }
}
