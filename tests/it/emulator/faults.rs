//! Each kind of scripted trouble as a client sees it, and that it ends when it should.

use std::time::Duration;

use credvend::emulator::{Fault, FaultKind, Running};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Ask, Keys, now, role_arn, start};

fn script(running: &Running, fault: Fault) {
    running.state.push_fault(fault).unwrap();
}

#[tokio::test]
async fn a_status_comes_with_a_page_and_a_pause() {
    let running = start();
    let fault = Fault {
        retry_after_seconds: Some(7),
        ..Fault::status(429)
    };
    script(&running, fault);
    let reply = Ask::app(&running).send(&running).await.unwrap();
    assert_eq!(reply.status, 429);
    assert_eq!(reply.headers["retry-after"], "7");
    assert_eq!(reply.headers["content-type"], "text/html");
    assert!(reply.text().starts_with("<html>"));
    assert_eq!(
        Ask::app(&running).code(&running).await,
        "ok",
        "it struck once"
    );
}

#[tokio::test]
async fn an_error_code_comes_in_the_clouds_envelope() {
    let running = start();
    script(
        &running,
        Fault::error("InternalError.DbError", "db").times(2),
    );
    let error = ("InternalError.DbError".to_owned(), "db".to_owned());
    for _ in 0..2 {
        assert_eq!(Ask::app(&running).refused(&running).await, error);
    }
    assert_eq!(Ask::app(&running).code(&running).await, "ok");
}

#[tokio::test]
async fn throttling_has_both_of_its_faces() {
    let running = start();
    script(&running, Fault::new(FaultKind::Throttle));
    assert_eq!(
        Ask::app(&running).code(&running).await,
        "RequestLimitExceeded"
    );
    let as_status = Fault {
        status: Some(429),
        ..Fault::new(FaultKind::Throttle)
    };
    script(&running, as_status);
    assert_eq!(Ask::app(&running).send(&running).await.unwrap().status, 429);
}

#[tokio::test]
async fn a_delay_delays_and_a_hang_hangs() {
    let running = start();
    let delay = Duration::from_millis(150);
    script(&running, Fault::new(FaultKind::Delay).after(delay));
    let asked = Instant::now();
    assert_eq!(Ask::app(&running).code(&running).await, "ok");
    assert!(asked.elapsed() >= delay);

    script(&running, Fault::new(FaultKind::Hang));
    let answer = Ask::app(&running);
    let answer = answer.send(&running);
    let waited = tokio::time::timeout(Duration::from_millis(300), answer).await;
    assert!(waited.is_err(), "it answered: {waited:?}");
    assert_eq!(
        Ask::app(&running).code(&running).await,
        "ok",
        "others are served"
    );
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_truncated_body_breaks_off() {
    let running = start();
    script(&running, Fault::new(FaultKind::Reset));
    let error = Ask::app(&running).send(&running).await.unwrap_err();
    assert!(error.contains("ConnectionReset"), "{error}");

    script(&running, Fault::new(FaultKind::Truncated));
    let error = Ask::app(&running).send(&running).await.unwrap_err();
    // hyper's word for a body shorter than its Content-Length; the head had arrived.
    assert!(
        error.contains("Body") || error.contains("IncompleteMessage"),
        "{error}"
    );
    assert_eq!(Ask::app(&running).code(&running).await, "ok");
}

#[tokio::test]
async fn a_truncated_answer_has_its_first_half() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let running = start();
    script(&running, Fault::new(FaultKind::Truncated).forever());
    let mut stream = tokio::net::TcpStream::connect(running.addr).await.unwrap();
    stream
        .write_all(
            b"GET /latest/meta-data/cam/security-credentials/app HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        .await
        .unwrap();
    let mut bytes = Vec::new();
    drop(stream.read_to_end(&mut bytes).await);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let length = head.split_once("content-length: ").unwrap().1;
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    assert_eq!(body.len(), length / 2);
    assert!(body.contains("TmpSecretId"), "the first half of the set");
}

#[tokio::test]
async fn garbage_has_status_200_and_is_no_json() {
    let running = start();
    script(&running, Fault::new(FaultKind::Garbage));
    let reply = Ask::app(&running).send(&running).await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(serde_json::from_slice::<Value>(&reply.body).is_err());
}

#[tokio::test]
async fn sets_can_be_expired_backwards_or_incomplete() {
    let running = start();
    let expiry = async || {
        let answer = Ask::app(&running).granted(&running).await;
        answer["ExpiredTime"].as_u64().unwrap()
    };
    let held = expiry().await;
    script(&running, Fault::new(FaultKind::Backwards));
    let backwards = expiry().await;
    assert!(
        backwards < held && backwards > now(),
        "{backwards} after {held}"
    );
    script(&running, Fault::new(FaultKind::Expired));
    assert!(expiry().await < now());

    for field in ["Token", "TmpSecretId", "TmpSecretKey", "ExpiredTime"] {
        let fault = Fault {
            field: Some(field.to_owned()),
            ..Fault::new(FaultKind::Incomplete)
        };
        script(&running, fault);
        let answer = Ask::app(&running).granted(&running).await;
        assert!(answer[field].is_null(), "{field}");
        assert!(answer["Credentials"][field].is_null(), "{field}");
        let left = answer["Credentials"].as_object().unwrap().len();
        assert_eq!(left, if field == "ExpiredTime" { 3 } else { 2 });
    }
}

#[tokio::test]
async fn a_set_of_another_account_is_told_by_its_identity() {
    let running = start();
    script(&running, Fault::new(FaultKind::WrongAccount));
    let keys = Keys::from(&Ask::app(&running).granted(&running).await);
    let identity = Ask::new(&running, &keys, "GetCallerIdentity", &json!({}));
    let identity = identity.granted(&running).await;
    assert_eq!(identity["AccountId"], "200000000001");
}

#[tokio::test]
async fn a_skew_moves_checks_and_date_for_one_call() {
    let running = start();
    script(&running, Fault::new(FaultKind::Skew).skewed(-3_600));
    let reply = Ask::app(&running).send(&running).await.unwrap();
    let answer = reply.json();
    assert_eq!(
        answer["Response"]["Error"]["Code"],
        "AuthFailure.SignatureExpire"
    );
    let date = jiff::fmt::rfc2822::parse(reply.headers["date"].to_str().unwrap()).unwrap();
    let date = date.timestamp().as_second().unsigned_abs();
    assert!(date.abs_diff(now() - 3_600) <= 2, "{date}");
    assert_eq!(Ask::app(&running).code(&running).await, "ok");
}

#[tokio::test]
async fn the_emulators_clock_is_in_date_checks_and_expiry() {
    let running = start();
    running.state.set_clock_offset(1_000);
    let mut ask = Ask::app(&running);
    assert_eq!(ask.code(&running).await, "AuthFailure.SignatureExpire");
    ask.timestamp = Some((now() + 1_000).to_string());
    let answer = ask.granted(&running).await;
    let expiry = answer["ExpiredTime"].as_u64().unwrap();
    assert!(expiry.abs_diff(now() + 1_000 + 7_200) <= 2, "{expiry}");

    // The key itself lives as long as it would have: its end is not on the wall.
    running.state.set_clock_offset(0);
    let identity = Ask::new(
        &running,
        &Keys::from(&answer),
        "GetCallerIdentity",
        &json!({}),
    );
    assert_eq!(identity.code(&running).await, "ok");
}

#[tokio::test]
async fn faults_find_their_action_and_role() {
    let running = start();
    script(&running, Fault::error("A", "a").on_role("batch").forever());
    script(
        &running,
        Fault::error("B", "b")
            .on_action("GetCallerIdentity")
            .forever(),
    );
    let keys = Keys::of(&running);
    let body = json!({"RoleArn": role_arn("batch"), "RoleSessionName": "session"});
    let batch = Ask::new(&running, &keys, "AssumeRole", &body);
    let identity = Ask::new(&running, &keys, "GetCallerIdentity", &json!({}));
    for _ in 0..2 {
        assert_eq!(Ask::app(&running).code(&running).await, "ok");
        assert_eq!(batch.code(&running).await, "A");
        assert_eq!(identity.code(&running).await, "B");
    }
    running.state.clear_faults();
    assert_eq!(batch.code(&running).await, "ok");
}

#[tokio::test]
async fn an_outage_forgets_nothing() {
    let running = start();
    let keys = Keys::from(&Ask::app(&running).granted(&running).await);
    let identity = Ask::new(&running, &keys, "GetCallerIdentity", &json!({}));

    script(&running, Fault::new(FaultKind::Hang));
    let pending = Ask::app(&running);
    let (pending, ()) = tokio::join!(pending.send(&running), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        running.pause().await;
    });
    assert!(pending.is_err(), "open connections end");
    let refused = identity.send(&running).await.unwrap_err();
    assert!(refused.contains("refused"), "{refused}");

    running.resume().await.unwrap();
    assert_eq!(identity.code(&running).await, "ok");
    running.resume().await.unwrap();
    let address = running.addr;
    running.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
