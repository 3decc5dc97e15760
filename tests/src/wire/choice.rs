//! Which stories are told in real boxes: those that can share one, and a few others.

use crate::{configs::Configuration, fixture::Fixture, fixtures};

/// Which stories.
#[derive(Clone, Debug)]
pub struct Choice {
    /// All that have one of these configurations, and share the box: it takes a while to
    /// set one up.
    pub of: Vec<Configuration>,
    /// These, by name, though none or few share a box with them.
    pub alone: &'static [&'static str],
    /// The chapters none of whose stories are told.
    pub untold: &'static [&'static str],
}

impl Choice {
    /// The chosen ones.
    pub fn among(&self, mut stories: Vec<Fixture>) -> Vec<Fixture> {
        stories.retain(|story| self.shares_a_box(story) || self.is_told_alone(story));
        stories
    }

    /// Checks that each of the stories is there once that are named, and that stories of
    /// all chapters are told but of those that are named.
    ///
    /// # Panics
    ///
    /// When it is not so.
    pub fn check(&self) {
        let chapters = fixtures::all();
        let stories = chapters.iter().flat_map(|(_, stories)| stories);
        let alone = stories.filter(|story| self.is_told_alone(story)).count();
        assert_eq!(alone, self.alone.len(), "each is there once");
        let untold = chapters
            .into_iter()
            .filter_map(|(name, stories)| self.among(stories).is_empty().then_some(name));
        assert_eq!(untold.collect::<Vec<_>>(), self.untold, "not told");
    }

    fn shares_a_box(&self, story: &Fixture) -> bool {
        self.of.contains(&story.config) && !story.alone
    }

    fn is_told_alone(&self, story: &Fixture) -> bool {
        self.alone.contains(&story.name.as_str())
    }
}
