//! The files of a persona run.

use std::sync::Arc;

use antiphon_data::Document;
use antiphon_pipeline::runs::RunFolder;
use antiphon_pipeline::{Error, Persona, Personas, Report};

use crate::blocking::blocking;
use crate::markdown::{file_name, markdown};
use crate::page::page;

/// Writes the personas of a run into its folder: first as JSON, since the answer was paid for, then each as Markdown,
/// and all as one HTML page.
///
/// ```text
/// personas.json              all personas, for programs
/// personas/01-ada.md, …      each persona, for people
/// personas.html              all personas, with the transcripts of the cited documents
/// ```
///
/// The names of the Markdown files are those of [`file_name`]. Files of the same names are replaced; Markdown files of
/// personas that an earlier call wrote under other names are kept. The page is rendered on tokio's blocking pool.
///
/// # Errors
/// `Files` if a file cannot be written; `Internal` for a defect of this program.
///
/// # Cancel safety
/// A dropped call may have written some of the files; each of them is complete.
pub async fn write_personas(
    folder: &RunFolder,
    personas: &[Persona],
    report: &Report,
    documents: Arc<[Document]>,
) -> Result<(), Error> {
    folder.write_personas(&Personas::new(&report.run_id, personas.to_vec())).await?;
    let html = {
        let (personas, report) = (personas.to_vec(), report.clone());
        let html = blocking(move || page(&personas, &report, &documents)).await;
        html.map_err(|err| Error::internal(err.to_string()))?
    };
    for (index, persona) in personas.iter().enumerate() {
        folder.write(&format!("personas/{}", file_name(index, persona)), markdown(persona)).await?;
    }
    folder.write("personas.html", html).await?;
    Ok(())
}
