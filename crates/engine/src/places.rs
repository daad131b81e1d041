//! The connections of a worker: a table whose places are used again, and tokens that are not.

use crate::connection::Connection;
use crate::reactor::Token;

/// Each connection has a place; it is out of it while it is worked on.
#[derive(Default)]
pub(crate) struct Places {
    all: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    /// Counts the connections that were here: a token of an earlier one leads nowhere.
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Places {
    /// Finds a place for a new connection.
    pub(crate) fn reserve(&mut self) -> Token {
        let index = self.free.pop().unwrap_or_else(|| {
            self.all.push(Place {
                generation: 0,
                connection: None,
            });
            (self.all.len() - 1) as u32
        });
        let place = &mut self.all[index as usize];
        place.generation = place.generation.wrapping_add(1);
        Token {
            index,
            generation: place.generation,
        }
    }

    /// Makes the place of a connection free that was taken out of it and is over.
    pub(crate) fn release(&mut self, index: u32) {
        self.free.push(index);
    }

    /// Takes a connection out, if this one is there.
    #[inline]
    pub(crate) fn take(&mut self, token: Token) -> Option<Box<Connection>> {
        let place = self.all.get_mut(token.index as usize)?;
        if place.generation != token.generation {
            return None;
        }
        place.connection.take()
    }

    /// Takes whichever connection is there.
    #[inline]
    pub(crate) fn take_at(&mut self, index: u32) -> Option<Box<Connection>> {
        self.all.get_mut(index as usize)?.connection.take()
    }

    #[inline]
    pub(crate) fn put(&mut self, connection: Box<Connection>) {
        let index = connection.token.index;
        self.all[index as usize].connection = Some(connection);
    }

    /// Whether this connection is there.
    pub(crate) fn holds(&self, token: Token) -> bool {
        self.all
            .get(token.index as usize)
            .is_some_and(|place| place.generation == token.generation && place.connection.is_some())
    }

    /// All places that there are.
    pub(crate) fn indices(&self) -> std::ops::Range<u32> {
        0..self.all.len() as u32
    }
}
