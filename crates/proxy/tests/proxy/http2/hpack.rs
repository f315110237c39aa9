//! Header compression (RFC 7541): what a block may be made of, and that a broken one breaks the connection, which has lost its tables.

use super::wire::{code, flag, headers, integer, request, text};
use super::{Case, Expect, case, keep};

/// `:method GET`, `:scheme https`, `:authority shop.example`, as entries of the static table.
fn start() -> Vec<u8> {
    [&[0x82, 0x87, 0x01][..], &text("shop.example")].concat()
}

/// A request whose path is followed by these bytes.
fn block(more: &[u8]) -> Vec<u8> {
    [&start()[..], &[0x04], &text("/0"), more].concat()
}

fn good(section: &'static str, says: &'static str, block: &[u8]) -> Case {
    case(section, says).send(headers(1, flag::ALL, block)).status(1, 200)
}

fn bad(section: &'static str, says: &'static str, more: &[u8]) -> Case {
    case(section, says).send(headers(1, flag::ALL, &block(more))).goaway(&[code::COMPRESSION])
}

/// A field that is kept in the dynamic table.
fn kept(name: &str, value: &str) -> Vec<u8> {
    [&[0x40][..], &text(name), &text(value)].concat()
}

#[tokio::test]
async fn fields_come_in_every_representation() {
    let twice = |more: &[u8]| headers(3, flag::ALL, &block(more));
    keep(vec![
        good("7541 §6.1", "entries of the static table", &[&start()[..], &[0x84 + 1]].concat()).status(1, 200),
        good("7541 §6.2.1", "a literal that is kept", &block(&kept("x-kept", "y"))),
        good("7541 §6.2.2", "a literal that is not kept", &request("GET", "/0", &[("x", "y")])),
        good("7541 §6.2.3", "a literal that is never to be kept", &block(&[&[0x10][..], &text("x"), &text("y")].concat())),
        good("7541 §6.2.3", "one with the name of an entry", &block(&[&[0x1f, 0x02][..], &text("gzip")].concat())),
        good("7541 §5.2", "an empty value", &block(&[&[0x00][..], &text("x"), &text("")].concat())),
        case("7541 §2.3.2", "what was kept may be named")
            .send(headers(1, flag::ALL, &block(&kept("x-kept", "y"))))
            .answered(1)
            .send(twice(&[0xbe]))
            .status(3, 200),
        case("7541 §2.3.2", "and serves as a name")
            .send(headers(1, flag::ALL, &block(&kept("x-kept", "y"))))
            .answered(1)
            .send(twice(&[&[0x7e][..], &text("z")].concat()))
            .status(3, 200),
        case("7541 §2.3.3", "the newest entry comes first")
            .send(headers(1, flag::ALL, &block(&[kept("x-one", "1"), kept("x-two", "2")].concat())))
            .answered(1)
            .send(twice(&[0xbe, 0xbf]))
            .status(3, 200),
        case("7541 §4.4", "what is larger than the table empties it")
            .send(headers(1, flag::ALL, &block(&[kept("x-one", "1"), kept("x-large", &"y".repeat(4096))].concat())))
            .answered(1)
            .send(twice(&[0xbe]))
            .goaway(&[code::COMPRESSION]),
        case("7541 §4.4", "old entries make room")
            .send(headers(1, flag::ALL, &block(&[kept("x-one", &"1".repeat(3000)), kept("x-two", &"2".repeat(3000))].concat())))
            .answered(1)
            .send(twice(&[0xbf]))
            .goaway(&[code::COMPRESSION]),
        case("7541 §2.2", "the table outlives a stream that was reset")
            .send(headers(1, flag::ALL, &[&start()[..], &[0x04], &text("/never"), &kept("x-kept", "y")].concat()))
            .send(super::wire::reset(1, code::CANCEL))
            .send(twice(&[0xbe]))
            .status(3, 200),
        case("7541 §2.2", "and a request that was malformed")
            .send(headers(
                1,
                flag::ALL,
                &block(&[kept("x-kept", "y"), [&[0x00][..], &text("connection"), &text("close")].concat()].concat()),
            ))
            .send(twice(&[0xbe]))
            .expect(Expect::BodyAfterReset(1, 3, 0)),
        case("7541 §2.2", "and fields after the one that was malformed are kept too")
            .send(headers(
                1,
                flag::ALL,
                &block(&[[&[0x00][..], &text("connection"), &text("close")].concat(), kept("x-kept", "y")].concat()),
            ))
            .send(twice(&[0xbe]))
            .expect(Expect::BodyAfterReset(1, 3, 0)),
    ])
    .await;
}

#[tokio::test]
async fn the_tables_size_is_set_at_the_beginning_of_a_block_and_within_what_was_allowed() {
    let update = |size| integer(0x20, 5, size);
    let sized = |says, sizes: &[usize]| {
        let updates: Vec<u8> = sizes.iter().flat_map(|size| update(*size)).collect();
        good("7541 §4.2", says, &[updates, block(&[])].concat())
    };
    keep(vec![
        sized("nothing is kept any more", &[0]),
        sized("the most that is allowed", &[4096]),
        sized("down and up again", &[0, 4096]),
        case("7541 §6.3", "one byte more than is allowed")
            .send(headers(1, flag::ALL, &[update(4097), block(&[])].concat()))
            .goaway(&[code::COMPRESSION]),
        case("7541 §6.3", "4 GiB")
            .send(headers(1, flag::ALL, &[update(u32::MAX as usize), block(&[])].concat()))
            .goaway(&[code::COMPRESSION]),
        bad("7541 §4.2", "after a field", &update(0)),
        case("7541 §4.2", "between two fields")
            .send(headers(1, flag::ALL, &[&[0x82][..], &update(0), &[0x87, 0x85]].concat()))
            .goaway(&[code::COMPRESSION]),
        case("7541 §4.3", "a size of 0 empties the table")
            .send(headers(1, flag::ALL, &block(&kept("x-kept", "y"))))
            .answered(1)
            .send(headers(3, flag::ALL, &[update(0), update(4096), block(&[0xbe])].concat()))
            .goaway(&[code::COMPRESSION]),
    ])
    .await;
}

#[tokio::test]
async fn a_broken_block_breaks_the_connection() {
    let string = |coded: &[u8]| [&[0x00][..], &text("x"), &[0x80 | coded.len() as u8], coded].concat();
    keep(vec![
        bad("7541 §6.1", "index 0", &[0x80]),
        bad("7541 §2.3.3", "an index beyond both tables", &[0xbe]),
        bad("7541 §2.3.3", "an index far beyond them", &integer(0x80, 7, 100_000)),
        bad("7541 §2.3.3", "a name beyond both tables", &[&[0x7e][..], &text("y")].concat()),
        bad("7541 §5.1", "a number without an end", &[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]),
        bad("7541 §5.1", "a number beyond 64 bits", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        bad("7541 §5.1", "a number whose rest is missing", &[0xff]),
        bad("7541 §5.2", "a string longer than the block", &[0x00, 0x7f, 0x00, b'x']),
        bad("7541 §5.2", "a string of 4 GiB", &[&[0x00][..], &integer(0, 7, u32::MAX as usize)].concat()),
        bad("7541 §5.2", "a value that is missing", &[&[0x00][..], &text("x")].concat()),
        bad("7541 §5.2", "a name that is missing", &[0x00]),
        good(
            "7541 §5.2",
            "a value in the Huffman code",
            &block(&string(&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff])),
        ),
        bad("7541 §5.2", "padding of a whole byte", &string(&[0x1f, 0xff])),
        bad("7541 §5.2", "padding of zeros", &string(&[0x18])),
        bad("7541 §5.2", "padding that is no beginning of EOS", &string(&[0x1e])),
        bad("7541 §5.2", "the end symbol itself", &string(&[0xff, 0xff, 0xff, 0xff])),
        bad("7541 §5.2", "the end symbol after a letter", &string(&[0x1f, 0xff, 0xff, 0xff, 0xff])),
    ])
    .await;
}
