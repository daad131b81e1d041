//! Handlers behind a pointer, whose futures are kept in recycled places.
//!
//! A router's handlers have different types, so their futures must be behind a pointer each. The
//! allocation of a future that is over is used for the next one of its kind: once there have been
//! as many at a time as there ever are, a request allocates nothing here.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use ajay_engine::Response;

use crate::{Handler, Request};

/// A handler of any type, for one worker.
pub(crate) trait AnyHandler {
    /// Begins to answer a request. Says where its future is.
    fn begin(&self, request: Request) -> usize;

    /// Polls the future that is there.
    fn poll(&self, place: usize, cx: &mut Context<'_>) -> Poll<Response>;

    /// Drops what is there; it may be used again.
    fn release(&self, place: usize);
}

/// Begins to answer a request with a handler of any type.
pub(crate) fn run(handler: &Rc<dyn AnyHandler>, request: Request) -> Running {
    let place = handler.begin(request);
    Running {
        handler: Rc::clone(handler),
        place,
    }
}

/// The future of a handler of any type.
pub(crate) struct Running {
    handler: Rc<dyn AnyHandler>,
    place: usize,
}

impl Future for Running {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response> {
        self.handler.poll(self.place, cx)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.handler.release(self.place);
    }
}

/// A handler behind a pointer.
pub(crate) fn recycled<H: Handler>(handler: H) -> Rc<dyn AnyHandler> {
    let handler = Rc::new(handler);
    from_fn(move |request| handler.call(request))
}

/// The same from a function that makes futures.
pub(crate) fn from_fn<F, Fut>(call: F) -> Rc<dyn AnyHandler>
where
    F: Fn(Request) -> Fut + 'static,
    Fut: Future<Output = Response> + 'static,
{
    Rc::new(Recycled {
        call,
        places: RefCell::new(Places {
            futures: Vec::new(),
            free: Vec::new(),
        }),
    })
}

struct Recycled<F, Fut> {
    call: F,
    places: RefCell<Places<Fut>>,
}

/// A future's allocation; none in it while it waits to be used again.
type Place<Fut> = Pin<Box<Option<Fut>>>;

struct Places<Fut> {
    /// None while it is polled, or where its allocation was given back.
    futures: Vec<Option<Place<Fut>>>,
    free: Vec<usize>,
}

/// So many allocations wait to be used again; one request more at a time has to allocate.
const FREE_MAX: usize = 256;

impl<F, Fut> AnyHandler for Recycled<F, Fut>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Response>,
{
    fn begin(&self, request: Request) -> usize {
        // Whatever is the application's runs while `places` is not borrowed: it may come back here.
        let future = (self.call)(request);
        let (index, place) = {
            let places = &mut *self.places.borrow_mut();
            let index = places.free.pop().unwrap_or_else(|| {
                places.futures.push(None);
                places.futures.len() - 1
            });
            (index, places.futures[index].take())
        };
        let mut place = place.unwrap_or_else(|| Box::pin(None));
        place.set(Some(future));
        self.places.borrow_mut().futures[index] = Some(place);
        index
    }

    fn poll(&self, index: usize, cx: &mut Context<'_>) -> Poll<Response> {
        let taken = self.places.borrow_mut().futures[index].take();
        // A panic in the future drops it, and with it the allocation.
        let mut place = taken.expect("the future has not panicked");
        let future = place.as_mut().as_pin_mut().expect("it is not over");
        let output = future.poll(cx);
        if output.is_ready() {
            place.set(None);
        }
        self.places.borrow_mut().futures[index] = Some(place);
        output
    }

    fn release(&self, index: usize) {
        let mut place = self.places.borrow_mut().futures[index].take();
        if let Some(place) = &mut place {
            place.set(None);
        }
        let places = &mut *self.places.borrow_mut();
        if places.free.len() < FREE_MAX {
            places.futures[index] = place;
        }
        places.free.push(index);
    }
}

#[cfg(test)]
mod tests;
