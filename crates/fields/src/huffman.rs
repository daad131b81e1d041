//! The static Huffman code of string literals (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: codes of one length are consecutive numbers, in the order of their
//! symbols, and go on where the next shorter length ended. So the lengths alone define it, and all
//! tables here are computed from them.
//!
//! The decoder looks up 12 bits at a time and gets one symbol or two. Longer codes,
//! which no usual text has, are found by comparing them with the first code of each length. The
//! input counts as followed by ones without end, which is what padding consists of: so there is one
//! way to read bits, and only the number of bits left says where the input ended.

use ajay_http::class;

/// Why a string was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HuffmanError {
    /// It has the symbol EOS.
    Eos,
    /// Its padding, or a symbol it ends in the middle of, has more than 7 bits.
    PaddingTooLong,
    /// Its padding does not consist of the most significant bits of EOS, which are ones.
    PaddingNotOnes,
}

/// What [`decode`] wrote.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Decoded {
    /// Where the string ends in the buffer.
    pub end: usize,
    /// Whether every byte may stand in a field value (RFC 9110 §5.5). Costs nothing to know: all
    /// other bytes have long codes.
    pub is_field_value: bool,
}

/// Decodes `input` into `out` from `start` on. The buffer only ever grows, so that one that is used
/// again is not cleared again; what stands in it behind the string means nothing.
///
/// # Errors
/// See [`HuffmanError`].
pub fn decode(input: &[u8], out: &mut Vec<u8>, start: usize) -> Result<Decoded, HuffmanError> {
    let symbols_max = input.len() * 8 / CODE_BITS_MIN;
    let buffer_len = start + symbols_max + WRITE_BYTES;
    if out.len() < buffer_len {
        out.resize(buffer_len, 0);
    }
    let mut bits = Bits::new(input);
    let mut end = start;
    let mut is_field_value = true;
    loop {
        while bits.left >= LOOKUPS * LOOKUP_BITS as usize {
            bits.refill();
            let mut word = 0;
            let mut sum = Sum::default();
            let mut step = Step::LONG;
            for _ in 0..LOOKUPS {
                step = bits.look_up();
                word |= step.symbols() << sum.shift();
                bits.skip(step);
                sum.add(step);
            }
            put(out, end, word);
            end += sum.count();
            bits.count(sum.bits());
            // A longer code, at which the look-ups stood still.
            if step.is_long() {
                break;
            }
        }
        if bits.ready < CODE_BITS_MAX as u32 {
            bits.refill();
        }
        if bits.is_padding() {
            break;
        }
        let step = bits.look_up();
        let (symbols, count, len) = if step.is_long() {
            let (symbol, len) = long_symbol(bits.window);
            if len as usize > bits.left {
                break;
            }
            let byte = u8::try_from(symbol).map_err(|_| HuffmanError::Eos)?;
            is_field_value &= class::FIELD_VALUE[usize::from(byte)];
            (u64::from(byte), 1, len)
        } else if step.bits() as usize <= bits.left {
            (step.symbols(), step.count(), step.bits())
        } else if step.first_bits() as usize <= bits.left {
            (step.symbols(), 1, step.first_bits())
        } else {
            break;
        };
        put(out, end, symbols);
        end += count;
        bits.consume(len);
    }
    bits.check_padding()?;
    Ok(Decoded {
        end,
        is_field_value,
    })
}

/// The number of bytes that [`encode`] would write.
#[inline]
#[must_use]
pub fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text
        .iter()
        .map(|&byte| usize::from(LENGTHS[usize::from(byte)]))
        .sum();
    bits.div_ceil(8)
}

/// Appends the encoded text.
pub fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut word = 0_u64;
    // Fewer than 32 between two bytes, and no code has more than 30.
    let mut bits = 0;
    for &byte in text {
        let len = u32::from(LENGTHS[usize::from(byte)]);
        word = word << len | u64::from(CODES[usize::from(byte)]);
        bits += len;
        if bits >= 32 {
            bits -= 32;
            out.extend_from_slice(&((word >> bits) as u32).to_be_bytes());
        }
    }
    let padded = bits.next_multiple_of(8);
    let ones = (1_u64 << (padded - bits)) - 1;
    let last = ((word << (padded - bits) | ones) << (32 - padded)) as u32;
    out.extend_from_slice(&last.to_be_bytes()[..padded as usize / 8]);
}

/// Writes a word of which only the first bytes matter. There is always room for it.
#[inline]
fn put(out: &mut [u8], at: usize, word: u64) {
    if let Some(place) = out.get_mut(at..at + WRITE_BYTES) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

/// Reads bits, most significant first.
struct Bits<'a> {
    input: &'a [u8],
    /// The next byte that is not in `window`.
    at: usize,
    /// The next bits from the top down, and below them bits that will be read again.
    window: u64,
    /// How many bits of `window` count.
    ready: u32,
    /// Bits of the input that are not consumed.
    left: usize,
}

impl<'a> Bits<'a> {
    fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            at: 0,
            window: 0,
            ready: 0,
            left: input.len() * 8,
        }
    }

    /// Makes at least 56 bits ready.
    #[inline]
    fn refill(&mut self) {
        let word = match self.input.get(self.at..).and_then(<[u8]>::first_chunk) {
            Some(word) => u64::from_be_bytes(*word),
            None => self.last_word(),
        };
        self.window |= word >> self.ready;
        self.at += (63 - self.ready as usize) / 8;
        self.ready |= 56;
    }

    /// The last bytes, and ones behind them.
    fn last_word(&self) -> u64 {
        let mut word = [0xff; 8];
        let rest = self.input.get(self.at..).unwrap_or_default();
        if let (Some(word), Some(last)) =
            (word.get_mut(..rest.len()), rest.get(..rest.len().min(8)))
        {
            word.copy_from_slice(last);
        }
        u64::from_be_bytes(word)
    }

    #[inline]
    fn look_up(&self) -> Step {
        LOOKUP[(self.window >> (64 - LOOKUP_BITS)) as usize]
    }

    /// At most as many as are ready.
    #[inline]
    fn consume(&mut self, bits: u32) {
        self.window <<= bits;
        self.count(bits);
    }

    /// Half of [`consume`](Self::consume): [`count`](Self::count) comes later, for several steps.
    #[inline]
    fn skip(&mut self, step: Step) {
        // The lowest bits are the number of bits; the others do not matter to a wrapping shift.
        self.window = self.window.wrapping_shl(step.0);
    }

    #[inline]
    fn count(&mut self, bits: u32) {
        self.ready -= bits;
        self.left -= bits as usize;
    }

    /// Whether what is left can be nothing but valid padding: no code of up to 7 bits is all ones.
    #[inline]
    fn is_padding(&self) -> bool {
        self.left <= 7 && self.window.leading_ones() >= self.left as u32
    }

    fn check_padding(&self) -> Result<(), HuffmanError> {
        if self.left > 7 {
            return Err(HuffmanError::PaddingTooLong);
        }
        if self.window.leading_ones() < self.left as u32 {
            return Err(HuffmanError::PaddingNotOnes);
        }
        Ok(())
    }
}

/// What the next 12 bits begin with: one symbol, two, or a longer code.
///
/// From the least significant bit: the bits of all symbols (8), eight times how many symbols there
/// are (8), two symbols of 8 bits. All zero for a longer code. So several steps can be added up
/// without taking them apart.
#[derive(Clone, Copy)]
struct Step(u32);

impl Step {
    const LONG: Self = Self(0);

    const fn one(symbol: u8, bits: u32) -> Self {
        Self((symbol as u32) << 16 | 8 << 8 | bits)
    }

    const fn then(self, symbol: u8, bits: u32) -> Self {
        Self(self.0 + ((symbol as u32) << 24 | 8 << 8 | bits))
    }

    #[inline]
    const fn symbols(self) -> u64 {
        (self.0 >> 16) as u64
    }

    #[inline]
    const fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline]
    const fn count(self) -> usize {
        (self.0 >> 11 & 0x1f) as usize
    }

    #[inline]
    fn first_bits(self) -> u32 {
        u32::from(LENGTHS[(self.0 >> 16 & 0xff) as usize])
    }

    #[inline]
    const fn is_long(self) -> bool {
        self.0 == 0
    }
}

/// The lower halves of several steps: none of the two numbers exceeds 64.
#[derive(Clone, Copy, Default)]
struct Sum(u32);

impl Sum {
    #[inline]
    fn add(&mut self, step: Step) {
        self.0 += step.0 & 0xffff;
    }

    /// Where the next step's symbols go. Smaller than 64 as long as one is to come.
    #[inline]
    const fn shift(self) -> u32 {
        self.0 >> 8 & 63
    }

    #[inline]
    const fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline]
    const fn count(self) -> usize {
        (self.0 >> 11) as usize
    }
}

/// The symbol that a window begins with and the bits of its code.
#[cold]
fn long_symbol(window: u64) -> (u16, u32) {
    let window = (window >> 32) as u32;
    let mut len = 1;
    // The last length has all codes that are left.
    while len < CODE_BITS_MAX && window >= RANKS.end[len] {
        len += 1;
    }
    let place = (window.wrapping_sub(RANKS.start[len]) >> (32 - len)) as usize;
    let symbol = RANKS.symbols.get(RANKS.first[len] as usize + place);
    (symbol.copied().unwrap_or(EOS), len as u32)
}

/// The symbols in the order of their codes, and where each length begins.
struct Ranks {
    symbols: [u16; SYMBOLS],
    /// For each length, the place of its first symbol.
    first: [u16; CODE_BITS_MAX + 1],
    /// For each length, its first code, in the top bits.
    start: [u32; CODE_BITS_MAX + 1],
    /// For each length, the code after its last, in the top bits. For the longest there is none.
    end: [u32; CODE_BITS_MAX + 1],
}

static RANKS: Ranks = ranks();
static CODES: [u32; SYMBOLS] = codes();
static LOOKUP: [Step; 1 << LOOKUP_BITS] = lookup();

const fn ranks() -> Ranks {
    let mut ranks = Ranks {
        symbols: [0; SYMBOLS],
        first: [0; CODE_BITS_MAX + 1],
        start: [0; CODE_BITS_MAX + 1],
        end: [0; CODE_BITS_MAX + 1],
    };
    let mut place = 0;
    // 64 bits, because the code after the last one does not fit into 32.
    let mut code = 0_u64;
    let mut len = 1;
    while len <= CODE_BITS_MAX {
        ranks.first[len] = place as u16;
        ranks.start[len] = code as u32;
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == len {
                ranks.symbols[place] = symbol as u16;
                place += 1;
                code += 1 << (32 - len);
            }
            symbol += 1;
        }
        ranks.end[len] = code as u32;
        len += 1;
    }
    assert!(code == 1 << 32, "the code is complete");
    ranks
}

const fn codes() -> [u32; SYMBOLS] {
    let mut codes = [0; SYMBOLS];
    let mut len = 1;
    while len <= CODE_BITS_MAX {
        let mut place = RANKS.first[len] as usize;
        let mut code = RANKS.start[len] >> (32 - len);
        while place < SYMBOLS && LENGTHS[RANKS.symbols[place] as usize] as usize == len {
            codes[RANKS.symbols[place] as usize] = code;
            code += 1;
            place += 1;
        }
        len += 1;
    }
    codes
}

const fn lookup() -> [Step; 1 << LOOKUP_BITS] {
    let mut table = [Step::LONG; 1 << LOOKUP_BITS];
    let mut first = 0;
    while first < EOS as usize {
        let first_bits = LENGTHS[first] as u32;
        if first_bits <= LOOKUP_BITS {
            let free = LOOKUP_BITS - first_bits;
            let base = (CODES[first] << free) as usize;
            let one = Step::one(first as u8, first_bits);
            let mut at = 0;
            while at < 1 << free {
                table[base + at] = one;
                at += 1;
            }
            let mut second = 0;
            while second < EOS as usize {
                let second_bits = LENGTHS[second] as u32;
                if second_bits <= free {
                    let free = free - second_bits;
                    let base = base + (CODES[second] << free) as usize;
                    let two = one.then(second as u8, second_bits);
                    let mut at = 0;
                    while at < 1 << free {
                        table[base + at] = two;
                        at += 1;
                    }
                }
                second += 1;
            }
        }
        first += 1;
    }
    table
}

/// 4 096 entries of 4 bytes. Two symbols of 5 to 7 bits, which are most letters and digits, fit
/// into 12 bits.
const LOOKUP_BITS: u32 = 12;
/// As many as one refill pays for: 48 of 56 bits.
const LOOKUPS: usize = 4;
/// Four look-ups give eight symbols at most.
const WRITE_BYTES: usize = 8;

const _: () = assert!(LOOKUPS * LOOKUP_BITS as usize <= 56 && LOOKUPS * 2 <= WRITE_BYTES);
const _: () = {
    let mut byte = 0;
    while byte < 256 {
        assert!(
            LENGTHS[byte] as u32 > LOOKUP_BITS || class::is_field_value_byte(byte as u8),
            "a byte that may not stand in a value has a code that is not looked up"
        );
        byte += 1;
    }
};

/// The symbol that ends a string, and is only allowed as its padding's bits.
const EOS: u16 = 256;
const SYMBOLS: usize = 257;
const CODE_BITS_MIN: usize = 5;
const CODE_BITS_MAX: usize = 30;

/// The bits of each symbol's code (RFC 7541 appendix B), EOS last.
#[rustfmt::skip]
static LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
     6, 10, 10, 12, 13,  6,  8, 11, 10, 10,  8, 11,  8,  6,  6,  6,
     5,  5,  5,  6,  6,  6,  6,  6,  6,  6,  7,  8, 15,  6, 12, 10,
    13,  6,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,  7,
     7,  7,  7,  7,  7,  7,  7,  7,  8,  7,  8, 13, 19, 13, 14,  6,
    15,  5,  6,  5,  6,  5,  6,  6,  6,  5,  7,  7,  6,  6,  6,  5,
     6,  7,  6,  5,  5,  6,  7,  7,  7,  7,  7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

#[cfg(test)]
mod tests;
