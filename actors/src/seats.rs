//! The twins of one thread by number, so that a letter finds its twin without its name.

use crate::body::SharedBody;

/// Where a twin sits on its thread. Seats are taken again; the life tells who sat there before from who does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    index: u32,
    life: u32,
}

#[derive(Default)]
pub struct Seats {
    rows: Vec<Row>,
    free: Vec<u32>,
}

struct Row {
    life: u32,
    body: Option<SharedBody>,
}

impl Seats {
    pub fn seat(&mut self, body: SharedBody) -> Seat {
        let index = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Row { life: 0, body: None });
            // Four thousand million twins do not fit one thread's memory.
            (self.rows.len() - 1) as u32
        });
        let row = &mut self.rows[index as usize];
        row.life = row.life.wrapping_add(1);
        row.body = Some(body);
        Seat { index, life: row.life }
    }

    pub fn get(&self, seat: Seat) -> Option<&SharedBody> {
        self.rows.get(seat.index as usize).filter(|row| row.life == seat.life)?.body.as_ref()
    }

    pub fn leave(&mut self, seat: Seat) -> Option<SharedBody> {
        let body = self.rows.get_mut(seat.index as usize).filter(|row| row.life == seat.life)?.body.take()?;
        self.free.push(seat.index);
        Some(body)
    }

    pub fn iter(&self) -> impl Iterator<Item = &SharedBody> {
        self.rows.iter().filter_map(|row| row.body.as_ref())
    }
}
