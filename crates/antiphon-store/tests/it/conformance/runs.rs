//! Runs, their owners, and what a store keeps beside them.

use antiphon_store::{Answer, Bill, ErrorKind, NewRun, Run, RunStatus, Settlement};

use crate::place::{Place, QUESTION, run_of, suite};

suite! {
    a_run_has_one_owner_and_many_readers
    the_same_command_finds_its_run_and_fresh_begins_another
    answers_are_kept_for_whoever_asks_the_same
    notes_are_kept_and_replaced
}

async fn a_run_has_one_owner_and_many_readers(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    let run = run_of(&store, 1).await;
    let err = other.open_run(NewRun::new("f")).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Busy);
    assert!(err.to_string().contains(&std::process::id().to_string()), "{err}");
    let looked = other.look_at(&run.record().id[..30]).await.unwrap();
    assert_eq!((looked.tally().await.unwrap().queued, looked.is_owned()), (1, false));
    let id = run.record().id.clone();
    drop(run);
    assert!(other.take_run(&id).await.unwrap().is_owned());
}

async fn the_same_command_finds_its_run_and_fresh_begins_another(place: Place) {
    let store = place.open().await;
    let id = |run: &Run| run.record().id.clone();
    let first = id(&run_of(&store, 1).await);
    let run = store.open_run(NewRun::new("f")).await.unwrap();
    assert_eq!((id(&run) == first, run.record().total, &*run.record().kind), (true, Some(1), "map"));
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    drop(run);
    assert_eq!(store.open_run(NewRun::new("f")).await.unwrap().record().status, RunStatus::Finished);
    let fresh = id(&store.open_run(NewRun::new("f").fresh(true)).await.unwrap());
    assert_ne!(fresh, first);
    assert_eq!(id(&store.open_run(NewRun::new("f")).await.unwrap()), fresh, "the newest one counts");
    assert_eq!(store.runs().await.unwrap().len(), 2);
    assert_eq!(store.look_at("").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.look_at("none").await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn answers_are_kept_for_whoever_asks_the_same(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 2).await;
    let answer = Answer::new("42").model(Some("m".to_owned())).tokens(Some(9), None);
    run.settle(Settlement::answered(0, Bill::call(None)).answer(QUESTION, answer.clone())).await.unwrap();
    let found = store.answers(vec![[0; 32], QUESTION]).await.unwrap();
    assert_eq!(found, [None, Some(answer)]);
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.answered, tally.cost_unknown), (1, true));
}

async fn notes_are_kept_and_replaced(place: Place) {
    let store = place.open().await;
    assert_eq!(store.recall("limits".to_owned()).await.unwrap(), None);
    for note in ["10", "20"] {
        store.remember("limits".to_owned(), note.to_owned()).await.unwrap();
    }
    assert_eq!(place.open().await.recall("limits".to_owned()).await.unwrap().as_deref(), Some("20"));
}
