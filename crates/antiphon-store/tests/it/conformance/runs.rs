//! Runs, their workers, and the cached answers and notes of a store.

use antiphon_store::{Answer, Bill, ErrorKind, Intent, NewRun, Run, RunFilter, RunStatus, Settlement, Store};

use crate::place::{Place, QUESTION, run_of, suite};

suite! {
    a_run_has_workers_and_readers
    the_same_command_finds_its_run_and_fresh_begins_another
    answers_are_cached_for_the_same_question
    notes_are_kept_and_replaced
    a_run_is_cancelled_while_its_worker_works
    a_cancelled_run_is_never_resumed
    a_finished_run_is_not_cancelled
    runs_are_read_in_pages_newest_first
    a_run_that_is_resumed_is_open_and_has_not_ended
    a_run_that_finishes_again_keeps_the_time_of_its_end
    calls_of_a_run_without_workers_are_possibly_billed
    a_request_is_replaced
    living_workers_are_counted
    a_deleted_run_leaves_nothing_behind
    a_run_at_work_is_not_deleted
}

async fn a_run_has_workers_and_readers(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    let run = run_of(&store, 1).await;
    let second = other.open_run(NewRun::new("f")).await.unwrap();
    assert_eq!((second.record().id == run.record().id, second.is_worker()), (true, true));
    let looked = other.read_run(&run.record().id[..30]).await.unwrap();
    assert_eq!((looked.tally().await.unwrap().queued, looked.is_worker()), (1, false));
    assert_eq!(looked.claim(1).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert!(other.join_run(&run.record().id).await.unwrap().is_worker());
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
    assert_eq!(id(&store.open_run(NewRun::new("f")).await.unwrap()), fresh, "the newest run is resumed");
    assert_eq!(store.newest("f").await.unwrap().map(|run| (id(&run), run.is_worker())), Some((fresh, false)));
    assert!(store.newest("g").await.unwrap().is_none());
    assert_eq!(store.runs().await.unwrap().len(), 2);
    assert_eq!(store.read_run("0").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.delete("").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.read_run("none").await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn answers_are_cached_for_the_same_question(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 2).await;
    let answer = Answer::new("42").model(Some("m".to_owned())).tokens(Some(9), None);
    let settlement = Settlement::accepted(0, "42", Bill::call(None)).answer(QUESTION, answer.clone());
    run.settle(settlement).await.unwrap();
    let found = store.answers(vec![[0; 32], QUESTION]).await.unwrap();
    assert_eq!(found, [None, Some(answer)]);
    let tally = run.tally().await.unwrap();
    assert_eq!((tally.accepted, tally.cost_unknown), (1, true));
}

async fn notes_are_kept_and_replaced(place: Place) {
    let store = place.open().await;
    assert_eq!(store.note("limits".to_owned()).await.unwrap(), None);
    for note in ["10", "20"] {
        store.set_note("limits".to_owned(), note.to_owned()).await.unwrap();
    }
    assert_eq!(place.open().await.note("limits".to_owned()).await.unwrap().as_deref(), Some("20"));
}

async fn a_run_is_cancelled_while_its_worker_works(place: Place) {
    let (store, other) = (place.open().await, place.open().await);
    let run = run_of(&store, 2).await;
    let id = run.record().id.clone();
    run.intend(Intent::new(0)).await.unwrap();
    let cancelled = other.cancel(&id[..30]).await.unwrap();
    assert_eq!((cancelled.status, cancelled.ended_at.is_some()), (RunStatus::Cancelled, true));
    assert_eq!((run.status().await.unwrap(), run.record().status), (RunStatus::Cancelled, RunStatus::Open));
    assert_eq!(
        other.cancel(&id).await.unwrap().ended_at,
        cancelled.ended_at,
        "cancelling again changes nothing"
    );
    // A call in progress is paid for, so its settlement is stored.
    run.settle(Settlement::failed(0, "k", "m", Bill::call(Some(1)))).await.unwrap();
    assert_eq!(run.retry_failed().await.unwrap(), 1);
    run.finish(RunStatus::Stopped, "{\"rows\":2}".to_owned()).await.unwrap();
    assert_eq!(run.status().await.unwrap(), RunStatus::Cancelled);
    let kept = other.read_run(&id).await.unwrap();
    assert_eq!(
        (kept.record().status.name(), kept.record().report.as_deref()),
        ("cancelled", Some("{\"rows\":2}"))
    );
    assert_eq!(kept.tally().await.unwrap().settled, 1);
}

async fn a_cancelled_run_is_never_resumed(place: Place) {
    let store = place.open().await;
    let first = run_of(&store, 1).await;
    let fresh = store.open_run(NewRun::new("f").fresh(true)).await.unwrap();
    let id = fresh.record().id.clone();
    store.cancel(&id).await.unwrap();
    for is_joined in [true, false] {
        let err = store.join_run(&id).await.unwrap_err();
        assert_eq!((err.kind(), err.to_string()), (ErrorKind::Conflict, format!("run {id} was cancelled")));
        if is_joined {
            fresh.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
            assert_eq!(fresh.status().await.unwrap(), RunStatus::Cancelled);
        }
    }
    let next = store.open_run(NewRun::new("f")).await.unwrap();
    assert_eq!((next.record().status, next.tally().await.unwrap().jobs()), (RunStatus::Open, 0));
    assert!(![&id, &first.record().id].contains(&&next.record().id), "the run before it is not resumed");
    drop(next);
    assert!(store.join_run("latest").await.unwrap().is_worker());
}

async fn a_finished_run_is_not_cancelled(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 1).await;
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    assert_eq!(store.cancel("latest").await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(run.status().await.unwrap(), RunStatus::Finished);
    assert_eq!(store.cancel("none").await.unwrap_err().kind(), ErrorKind::NotFound);
    run.finish(RunStatus::Stopped, "{}".to_owned()).await.unwrap();
    assert_eq!(
        store.cancel("latest").await.unwrap().status,
        RunStatus::Cancelled,
        "a stopped run has not ended"
    );
}

/// Returns the fingerprints of the selected runs, page by page.
async fn pages(store: &Store, filter: &RunFilter, most: usize) -> Vec<String> {
    let (mut pages, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.runs_page(filter.clone(), after.as_deref(), most).await.unwrap();
        let Some(last) = page.last() else { break pages };
        after = Some(last.record().id.clone());
        pages.push(page.iter().map(|run| &*run.record().fingerprint).collect());
    }
}

async fn runs_are_read_in_pages_newest_first(place: Place) {
    let store = place.open().await;
    for (name, kind) in [("a", "map"), ("b", "personas"), ("c", "map"), ("d", "map/part"), ("e", "map")] {
        let run = store.open_run(NewRun::new(name).request(kind, "null")).await.unwrap();
        if ["a", "b", "d"].contains(&name) {
            run.finish(RunStatus::Stopped, "{}".to_owned()).await.unwrap();
        }
    }
    let all = RunFilter::default();
    assert_eq!(pages(&store, &all, 2).await, ["ec", "ba"]);
    assert_eq!(pages(&store, &all.clone().with_parts(true), 3).await, ["edc", "ba"]);
    assert_eq!(pages(&store, &all.clone().kind("map"), 2).await, ["ec", "a"]);
    assert_eq!(pages(&store, &all.clone().kind("map/part"), 2).await, ["d"]);
    let stopped = all.clone().status(RunStatus::Stopped);
    assert_eq!(pages(&store, &stopped, 1).await, ["b", "a"]);
    assert_eq!(pages(&store, &stopped.clone().with_parts(true), 9).await, ["dba"]);
    assert_eq!(pages(&store, &stopped.kind("map"), 9).await, ["a"]);
    assert_eq!(pages(&store, &all.clone().status(RunStatus::Cancelled), 9).await, [""; 0]);
    let unknown = store.runs_page(all, Some("none"), 9).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
}

async fn a_run_that_is_resumed_is_open_and_has_not_ended(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 2).await;
    run.finish(RunStatus::Stopped, "{}".to_owned()).await.unwrap();
    let stopped = store.read_run("latest").await.unwrap();
    assert_eq!((stopped.record().status, stopped.record().ended_at.is_some()), (RunStatus::Stopped, true));
    drop(run);
    let joined = store.open_run(NewRun::new("f")).await.unwrap();
    assert_eq!(joined.status().await.unwrap(), RunStatus::Stopped, "no row was claimed");
    let second = store.open_run(NewRun::new("f")).await.unwrap();
    joined.claim(1).await.unwrap();
    let resumed = store.read_run("latest").await.unwrap();
    assert_eq!((resumed.record().status, resumed.record().ended_at), (RunStatus::Open, None));
    joined.finish(RunStatus::Stopped, "{}".to_owned()).await.unwrap();
    let shared = store.read_run("latest").await.unwrap();
    assert_eq!(
        (shared.record().status, shared.record().ended_at),
        (RunStatus::Open, None),
        "one still works"
    );
    drop(second);
}

async fn a_run_that_finishes_again_keeps_the_time_of_its_end(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 1).await;
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    let ended = async || store.read_run("latest").await.unwrap().record().ended_at;
    let first = ended().await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    assert_eq!((ended().await, first.is_some()), (first, true));
}

async fn calls_of_a_run_without_workers_are_possibly_billed(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 4).await;
    run.intend(Intent::new(0).reserved(Some(30))).await.unwrap();
    run.intend(Intent::new(1)).await.unwrap();
    let reader = store.read_run("latest").await.unwrap();
    assert_eq!(reader.next_tally().await.unwrap(), reader.tally().await.unwrap(), "its worker lives");
    drop(run);
    let shown = reader.next_tally().await.unwrap();
    assert_eq!((shown.possibly_billed, shown.possible, shown.unbounded, shown.queued), (2, 30, 1, 4));
    let next = store.open_run(NewRun::new("f")).await.unwrap();
    assert_eq!(next.tally().await.unwrap(), shown, "the next worker finds the same");
}

async fn a_request_is_replaced(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 1).await;
    run.set_request("{\"schema\":2}".to_owned()).await.unwrap();
    assert_eq!(run.record().request, "{}", "as it was read");
    assert_eq!(store.read_run("latest").await.unwrap().record().request, "{\"schema\":2}");
}

async fn living_workers_are_counted(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 1).await;
    let second = place.open().await.join_run("latest").await.unwrap();
    let looked = store.read_run("latest").await.unwrap();
    assert_eq!(looked.workers().await.unwrap(), 2);
    drop(second);
    assert_eq!(looked.workers().await.unwrap(), 1);
    run.finish(RunStatus::Finished, "{}".to_owned()).await.unwrap();
    drop(run);
    assert_eq!(looked.workers().await.unwrap(), 0);
}

/// Opens a run of one job with an answer in the cache, a result and a note.
async fn run_with_answer(store: &Store, fingerprint: &str, question: [u8; 32]) -> Run {
    let run = store.open_run(NewRun::new(fingerprint).request("map", "{}").fresh(true)).await.unwrap();
    run.enqueue(vec!["{}".to_owned()]).await.unwrap();
    let settlement = Settlement::accepted(0, "42", Bill::call(None)).answer(question, Answer::new("42"));
    run.settle(settlement).await.unwrap();
    store.set_note(format!("notes/{}", run.record().id), "note".to_owned()).await.unwrap();
    run
}

async fn a_deleted_run_leaves_nothing_behind(place: Place) {
    let store = place.open().await;
    let (older, newer) = ([1; 32], [2; 32]);
    let first = run_with_answer(&store, "f", older).await.record().id.clone();
    let second = run_with_answer(&store, "f", newer).await.record().id.clone();
    let deleted = place.open().await.delete(&second[..30]).await.unwrap();
    assert_eq!((deleted.id == second, deleted.kind.as_str()), (true, "map"));
    assert_eq!(store.read_run(&second).await.unwrap_err().kind(), ErrorKind::NotFound);
    let cached = store.answers(vec![older, newer]).await.unwrap();
    assert_eq!((cached[0].is_some(), cached[1].is_none()), (true, true));
    assert_eq!(store.note(format!("notes/{second}")).await.unwrap(), None);
    assert!(store.note(format!("notes/{first}")).await.unwrap().is_some());
    let newest = store.newest("f").await.unwrap().unwrap();
    assert_eq!((&newest.record().id, newest.jobs(0, 9).await.unwrap().len()), (&first, 1));
    store.delete("latest").await.unwrap();
    assert!(store.newest("f").await.unwrap().is_none() && store.runs().await.unwrap().is_empty());
    assert_eq!(store.delete("latest").await.unwrap_err().kind(), ErrorKind::NotFound);
    // A new run takes no job over.
    assert_eq!(store.open_run(NewRun::new("f")).await.unwrap().tally().await.unwrap().jobs(), 0);
}

async fn a_run_at_work_is_not_deleted(place: Place) {
    let store = place.open().await;
    let run = run_of(&store, 3).await;
    let err = place.open().await.delete("latest").await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Conflict);
    assert!(err.to_string().ends_with("cannot be deleted: a worker is at work on it"), "{err}");
    assert_eq!(run.tally().await.unwrap().queued, 3);
    drop(run);
    let reader = store.read_run("latest").await.unwrap();
    store.delete("latest").await.unwrap();
    assert_eq!(reader.jobs(0, 9).await.map_or(0, |jobs| jobs.len()), 0);
}
