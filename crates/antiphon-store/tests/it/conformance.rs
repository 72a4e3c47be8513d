//! The suite that every back end passes: each test of a `suite!` runs once in each kind of [`Place`](crate::place::Place).

mod dropped;
mod jobs;
mod leases;
mod model;
mod runs;
