//! Who is the worker and who the member among the faces of one worker's submissions.
