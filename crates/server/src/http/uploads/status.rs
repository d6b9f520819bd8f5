//! `GET` of an upload's URL: 200, what it still waits for.

use http::StatusCode;
use store::Upload;

use super::session;
use crate::http::answer::Answer;

pub fn status(upload: &Upload) -> Answer {
    Answer::json(StatusCode::OK, &session(upload))
}
