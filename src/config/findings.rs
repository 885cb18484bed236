//! What a reading of the configuration brings to light: mistakes, warnings, and where each key
//! stands, so that checks made later can still point at a line.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::report::{Message, Severity};
use super::source::Place;
use crate::secret::SecretRef;

/// Collects while tables are read. Shared by all readers of one configuration.
#[derive(Debug, Default)]
pub(super) struct Findings<'d> {
    mistakes: RefCell<Vec<Message>>,
    warnings: RefCell<Vec<Message>>,
    places: RefCell<BTreeMap<String, Place<'d>>>,
    secrets: RefCell<Vec<(SecretRef, Place<'d>)>>,
}

impl<'d> Findings<'d> {
    pub(super) fn add(&self, message: Message) {
        let list = match message.severity() {
            Severity::Mistake => &self.mistakes,
            Severity::Warning => &self.warnings,
        };
        list.borrow_mut().push(message);
    }

    pub(super) fn mistake(
        &self,
        place: &Place<'_>,
        text: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(Message::at(Severity::Mistake, place, text, hint.into()));
    }

    pub(super) fn warning(
        &self,
        place: &Place<'_>,
        text: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.add(Message::at(Severity::Warning, place, text, hint.into()));
    }

    /// A mistake at the first of these paths that stands somewhere in the files.
    pub(super) fn mistake_at(
        &self,
        paths: &[&str],
        text: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        if let Some(place) = self.place(paths) {
            self.mistake(&place, text, hint);
        }
    }

    /// A warning at the first of these paths that stands somewhere in the files.
    pub(super) fn warning_at(
        &self,
        paths: &[&str],
        text: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        if let Some(place) = self.place(paths) {
            self.warning(&place, text, hint);
        }
    }

    pub(super) fn note_place(&self, path: &str, place: &Place<'d>) {
        let mut places = self.places.borrow_mut();
        if !places.contains_key(path) {
            places.insert(path.to_owned(), place.clone());
        }
    }

    pub(super) fn place(&self, paths: &[&str]) -> Option<Place<'d>> {
        let places = self.places.borrow();
        paths.iter().find_map(|path| places.get(*path).cloned())
    }

    pub(super) fn note_secret(&self, reference: SecretRef, place: &Place<'d>) {
        self.secrets.borrow_mut().push((reference, place.clone()));
    }

    pub(super) fn secrets(&self) -> Vec<(SecretRef, Place<'d>)> {
        self.secrets.borrow().clone()
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.borrow().is_empty()
    }

    /// Mistakes and warnings, each in the order of files and lines. `order` gives the rank of a
    /// file.
    pub(super) fn into_messages(
        self,
        order: impl Fn(&std::path::Path) -> usize,
    ) -> (Vec<Message>, Vec<Message>) {
        let sorted = |list: RefCell<Vec<Message>>| {
            let mut list = list.into_inner();
            list.sort_by_key(|message| (order(message.file()), message.line(), message.column()));
            list
        };
        (sorted(self.mistakes), sorted(self.warnings))
    }
}
