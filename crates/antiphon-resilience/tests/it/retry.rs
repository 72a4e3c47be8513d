//! Retries whose closures have state, and pauses in a loop of the caller.

use std::time::Duration;

use antiphon_resilience::{Backoff, Jitter, RetryBudget, RetryPolicy, Verdict};

#[tokio::test(start_paused = true)]
async fn both_closures_may_change_what_they_hold() {
    let (mut urls, mut errors) = (vec!["c", "b", "a"], Vec::new());
    let policy = RetryPolicy::default();
    let answer = policy
        .run(
            |err: &String| {
                errors.push(err.clone());
                Verdict::Retry
            },
            |_| {
                let url = urls.pop();
                async move { if url == Some("c") { Ok("c") } else { Err(format!("{url:?} is down")) } }
            },
        )
        .await;
    assert_eq!((answer, urls.len()), (Ok("c"), 0));
    assert_eq!(errors, ["Some(\"a\") is down", "Some(\"b\") is down"]);
}

#[tokio::test(start_paused = true)]
async fn clones_of_a_budget_share_its_points() {
    let (budget, policy) = (RetryBudget::new(28), RetryPolicy::default().max_retries(1));
    let clients = [budget.clone(), budget.clone(), budget.clone()];
    let mut attempts = 0;
    for client in &clients {
        let down = policy.run(
            |_: &&str| Verdict::Retry,
            |_| {
                attempts += 1;
                async { Err::<(), _>("down") }
            },
        );
        down.budget(client).await.unwrap_err();
    }
    assert_eq!((attempts, budget.available()), (5, 0), "two retries for all three");
}

#[test]
fn a_budget_is_asked_before_a_retry_and_filled_by_a_success() {
    let budget = RetryBudget::new(19);
    assert!(budget.withdraw(Verdict::Retry));
    assert!(!budget.withdraw(Verdict::Retry) && budget.available() == 5);
    assert!(budget.withdraw(Verdict::Throttled { retry_after: None }));
    assert!(!budget.withdraw(Verdict::Throttled { retry_after: None }));
    budget.deposit();
    assert_eq!(budget.available(), 1);
    (0..100).for_each(|_| budget.deposit());
    assert_eq!(budget.available(), 19, "no more than the capacity");
}

fn seconds(pauses: impl Iterator<Item = Duration>) -> Vec<f64> {
    pauses.map(|pause| pause.as_secs_f64()).collect()
}

#[test]
fn jitter_is_random_seeded_or_off() {
    let backoff = || Backoff::new(Duration::from_secs(1), Duration::from_secs(8));
    assert_ne!(seconds(backoff().take(8)), seconds(backoff().take(8)));
    assert_eq!(seconds(backoff().seed(1).take(8)), seconds(backoff().seed(1).take(8)));
    assert_eq!(seconds(backoff().jitter(Jitter::Off).take(5)), [1.0, 2.0, 4.0, 8.0, 8.0]);
    assert_eq!(seconds(backoff().jitter(Jitter::Off).factor(0.1).take(2)), [1.0, 1.0]);
    let mut reset = backoff().jitter(Jitter::Off);
    assert_eq!(seconds(reset.by_ref().take(2)), [1.0, 2.0]);
    reset.reset();
    assert_eq!(seconds(reset.take(2)), [1.0, 2.0]);
}

#[test]
fn every_field_of_the_policy_has_a_setter_and_a_default() {
    let ms = Duration::from_millis;
    let policy = RetryPolicy::default()
        .max_retries(9)
        .base(ms(1), ms(2))
        .throttled_base(ms(3))
        .factor(4.0)
        .cap(ms(5))
        .max_retry_after(ms(6))
        .jitter(Jitter::Off)
        .seed(7);
    let mut expected = RetryPolicy::default();
    assert_eq!((expected.max_retries, expected.base, expected.throttled_base), (3, ms(500), ms(1_000)));
    assert_eq!((expected.factor, expected.cap, expected.max_retry_after), (2.0, ms(20_000), ms(120_000)));
    assert_eq!((expected.jitter, expected.seed), (Jitter::Full, None));
    (expected.max_retries, expected.base, expected.throttled_base) = (9, ms(1), ms(3));
    (expected.factor, expected.cap, expected.max_retry_after) = (4.0, ms(5), ms(6));
    (expected.jitter, expected.seed) = (Jitter::Off, Some(7));
    assert_eq!(policy, expected);
}

#[test]
fn a_policy_without_jitter_has_exact_pauses() {
    let mut pauses = RetryPolicy::default().max_retries(9).jitter(Jitter::Off).pauses();
    let busy = |wait: Option<u64>| Verdict::Throttled { retry_after: wait.map(Duration::from_secs) };
    let verdicts = [Verdict::Retry, busy(Some(7)), busy(None), Verdict::Retry];
    let exact = verdicts.map(|verdict| pauses.after(verdict).unwrap().as_secs_f64());
    assert_eq!(exact, [0.5, 7.0, 1.0, 2.0]);
    assert_eq!(pauses.after_unbilled(None), Duration::from_secs(1 + 4));
}
