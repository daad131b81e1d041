//! What the applications take and give.

use serde::{Deserialize, Serialize};

pub const HELLO: &str = "Hello, world!";

#[derive(Deserialize, Serialize)]
pub struct Order {
    id: u64,
    customer: String,
    email: String,
    tags: Vec<String>,
    items: Vec<Item>,
    note: Option<String>,
    paid: bool,
}

#[derive(Deserialize, Serialize)]
struct Item {
    sku: String,
    title: String,
    quantity: u32,
    price: f64,
}

#[derive(Serialize)]
pub struct Receipt {
    #[serde(flatten)]
    order: Order,
    total: f64,
}

impl From<Order> for Receipt {
    fn from(order: Order) -> Receipt {
        let prices = order
            .items
            .iter()
            .map(|it| it.price * f64::from(it.quantity));
        let total = prices.sum();
        Receipt { order, total }
    }
}

#[derive(Deserialize)]
pub struct SignUp {
    name: String,
    email: String,
    age: u32,
    comment: String,
}

impl SignUp {
    pub fn answer(&self) -> String {
        let SignUp {
            name,
            email,
            age,
            comment,
        } = self;
        format!("{name} <{email}>, {age}: {} bytes", comment.len())
    }
}
