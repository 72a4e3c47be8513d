//! The stand-in for the reader of tables in a build without the feature `csv`.

use std::future::{Ready, ready};

use super::look::Lines;
use super::{Row, unreadable};
use crate::error::Error;
use crate::formats::not_built;

/// The records of a table, of which no value exists.
pub(super) enum Records {}

impl Records {
    /// Rejects the file.
    pub(super) fn begin(_: Lines, _: &str, name: &str) -> Ready<Result<Self, Error>> {
        ready(Err(unreadable(name, not_built("CSV", "csv"))))
    }

    /// Takes the place of the next batch.
    pub(super) fn next(&mut self, _: &str) -> Ready<Result<Vec<Row>, Error>> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use crate::{ErrorKind, Rows};

    #[tokio::test]
    async fn a_table_is_rejected_with_the_name_of_the_feature_and_json_is_read() {
        let folder = antiphon_fs::temp_dir().unwrap();
        let table = folder.path().join("a.csv");
        antiphon_fs::write(&table, "a,b\n1,2\n").await.unwrap();
        let err = Rows::open(&table, None).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::NothingReadable);
        let why = "this build cannot read CSV. Enable the feature csv of antiphon-data";
        assert!(err.to_string().ends_with(why), "{err}");
        let lines = folder.path().join("a.jsonl");
        antiphon_fs::write(&lines, "{\"a\":1}\n").await.unwrap();
        let batch = Rows::open(&lines, None).await.unwrap().next().await.unwrap();
        assert_eq!(batch, [Ok("{\"a\":1}".to_owned())]);
    }
}
