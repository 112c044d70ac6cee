//! Lists of items: pages, and ids that depend on the items alone.

use std::collections::HashMap;

use meshfs::format::content::{
    ContentBuilder, Progress, chunk_id, decode_page, empty, encode_page, list_id, may_reuse_pages, page_id,
};
use meshfs::model::content::{FileBody, FileContent, Item, Page, PageRef, SEGMENT_BYTES};
use meshfs::model::id::{ContentId, Location};
use proptest::prelude::*;

use crate::made::{location, named};

#[derive(Default)]
struct Pages {
    stored: HashMap<ContentId, Vec<u8>>,
    puts: usize,
}

impl Pages {
    /// Does what a builder asks for until it needs more, or is done.
    fn serve(&mut self, builder: &mut ContentBuilder) -> Option<FileContent> {
        loop {
            match builder.next().unwrap() {
                Progress::Ready => return None,
                Progress::Done(file) => return Some(file),
                Progress::Store(page) => {
                    self.puts += 1;
                    assert_eq!(decode_page(&page.bytes, &page.id).unwrap(), decode(&page.bytes, &page.id));
                    self.stored.insert(page.id, page.bytes);
                    builder.stored(location(1, self.puts as u64));
                }
            }
        }
    }

    fn build(&mut self, items: &[Item]) -> FileContent {
        let mut builder = ContentBuilder::new();
        for item in items {
            assert!(self.serve(&mut builder).is_none());
            builder.push(*item).unwrap();
        }
        builder.finish();
        self.serve(&mut builder).unwrap()
    }

    /// Level-0 pages and items of a content, in order.
    fn read(&self, file: &FileContent) -> (Vec<PageRef>, Vec<Item>) {
        let (mut pages, mut items) = (Vec::new(), Vec::new());
        match &file.body {
            FileBody::Items(list) => items.extend_from_slice(list),
            FileBody::Pages(location) => {
                let top = PageRef { len: file.size, id: file.id, location: *location };
                let mut work = vec![top];
                while let Some(page) = work.pop() {
                    let decoded = decode(&self.stored[&page.id], &page.id);
                    assert_eq!(decoded.len(), page.len);
                    match decoded {
                        Page::Items(list) => {
                            pages.push(page);
                            items.extend(list);
                        }
                        Page::Pages { pages, .. } => work.extend(pages.into_iter().rev()),
                    }
                }
            }
        }
        (pages, items)
    }
}

fn decode(bytes: &[u8], id: &ContentId) -> Page {
    let page = decode_page(bytes, id).unwrap();
    assert_eq!(page_id(&page).unwrap(), *id);
    page
}

fn item(n: u64, len: u32) -> Item {
    Item::Chunk { len, id: chunk_id(&n.to_le_bytes()), location: location(2, n * 1000) }
}

/// Items that fill `segments` whole segments and `rest` bytes of one more; a segment is one hole or some chunks.
fn items_of(segments: u64, rest: u32, seed: u64) -> Vec<Item> {
    let mut items = Vec::new();
    for segment in 0..segments {
        if (segment + seed).is_multiple_of(3) {
            items.push(Item::Hole { len: SEGMENT_BYTES });
        } else {
            items.push(Item::Hole { len: SEGMENT_BYTES - 300_000 });
            items.push(item(segment + seed, 100_000));
            items.push(item(segment + seed + 1, 200_000));
        }
    }
    if rest > 0 {
        items.push(item(seed, rest));
    }
    items
}

fn same_but_places(a: &[Item], b: &[Item]) -> bool {
    let key = |item: &Item| match item {
        Item::Chunk { len, id, .. } => (u64::from(*len), Some(*id)),
        Item::Hole { len } => (*len, None),
    };
    a.iter().map(key).eq(b.iter().map(key))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_content_reads_back_whatever_its_length(segments in 0u64..12, rest in 0u32..1000, seed in 0u64..9) {
        let items = items_of(segments, rest, seed);
        let mut pages = Pages::default();
        let file = pages.build(&items);
        prop_assert_eq!(file.size, segments * SEGMENT_BYTES + u64::from(rest));
        prop_assert_eq!(matches!(file.body, FileBody::Items(_)), items.len() <= 4);
        prop_assert!(same_but_places(&pages.read(&file).1, &items));
        prop_assert_eq!(Pages::default().build(&items).id, file.id);
    }

    #[test]
    fn segments_reused_as_pages_give_the_same_content(segments in 5u64..12, rest in 0u32..1000, changed in 0u64..12) {
        let mut pages = Pages::default();
        let old = pages.build(&items_of(segments, rest, 1));
        let (old_pages, _) = pages.read(&old);
        let mut items = Vec::new();
        let mut builder = ContentBuilder::new();
        for (at, page) in old_pages.iter().enumerate() {
            prop_assert!(pages.serve(&mut builder).is_none());
            let Page::Items(list) = decode(&pages.stored[&page.id], &page.id) else { panic!("a level-0 page") };
            if at as u64 != changed {
                items.extend(list);
                builder.push_page(*page).unwrap();
                continue;
            }
            for n in 0..page.len.div_ceil(400_000) {
                let len = (page.len - n * 400_000).min(400_000);
                items.push(item(n + 77, len as u32));
                prop_assert!(pages.serve(&mut builder).is_none());
                builder.push(items[items.len() - 1]).unwrap();
            }
        }
        builder.finish();
        let new = pages.serve(&mut builder).unwrap();
        prop_assert_eq!(new.id, pages.build(&items).id);
        prop_assert!(may_reuse_pages(new.size));
    }
}

#[test]
fn a_very_long_content_is_a_tree_of_pages() {
    let mut pages = Pages::default();
    let hole = encode_page(&Page::Items(vec![Item::Hole { len: SEGMENT_BYTES }])).unwrap();
    let segment = PageRef { len: SEGMENT_BYTES, id: hole.id, location: location(1, 0) };
    let mut builder = ContentBuilder::new();
    for _ in 0..1024 * 1024 + 3 {
        assert!(pages.serve(&mut builder).is_none());
        builder.push_page(segment).unwrap();
    }
    builder.finish();
    let file = pages.serve(&mut builder).unwrap();
    assert_eq!(file.size, (1024 * 1024 + 3) * SEGMENT_BYTES);
    assert_eq!(pages.puts, 1025 + 2 + 1, "three levels of pages above the segments'");
    assert_eq!(pages.stored.len(), 2 + 2 + 1, "equal pages are one");
    let lens = |id: &ContentId| match decode(&pages.stored[id], id) {
        Page::Pages { level, pages } => (level, pages.iter().map(|page| page.len / SEGMENT_BYTES).collect::<Vec<_>>()),
        Page::Items(_) => panic!("a page of pages"),
    };
    assert_eq!(lens(&file.id), (3, vec![1024 * 1024, 3]));
}

#[test]
fn exactly_one_full_upper_page_has_none_above_it() {
    let mut pages = Pages::default();
    let file = pages.build(&vec![Item::Hole { len: SEGMENT_BYTES }; 1024]);
    let Page::Pages { level, pages } = decode(&pages.stored[&file.id], &file.id) else { panic!("1,024 pages") };
    assert_eq!((level, pages.len()), (1, 1024));
}

#[test]
fn a_list_in_the_entry_and_a_page_of_the_same_items_are_the_same_content() {
    let items = items_of(0, 500, 3);
    assert_eq!(list_id(&items), page_id(&Page::Items(items)).unwrap());
    assert_eq!(empty(), Pages::default().build(&[]));
}

#[test]
fn an_id_does_not_depend_on_places() {
    let at = |location: Location| Item::Chunk { len: 3, id: chunk_id(b"abc"), location };
    assert_eq!(list_id(&[at(location(1, 2))]), list_id(&[at(location(3, 4))]));
}

#[test]
fn what_is_not_whole_segments_is_refused() {
    let mut builder = ContentBuilder::new();
    assert!(builder.push(Item::Hole { len: SEGMENT_BYTES + 1 }).is_err());
    assert!(builder.push(Item::Hole { len: 0 }).is_err());
    builder.push(item(1, 10)).unwrap();
    let page = PageRef { len: SEGMENT_BYTES, id: ContentId([1; 32]), location: location(1, 0) };
    assert!(builder.push_page(page).is_err());
    let short = PageRef { len: 5, ..page };
    let refused = |pages: Vec<PageRef>| assert!(encode_page(&Page::Pages { level: 1, pages }).is_err());
    refused(vec![short, page]);
    refused(vec![PageRef { len: SEGMENT_BYTES + 1, ..page }]);
    refused(vec![page; 1025]);
    refused(Vec::new());
    let twice = Page::Items(vec![Item::Hole { len: 1 << 20 }, Item::Hole { len: 1 << 20 }]);
    assert!(encode_page(&twice).is_err(), "two holes side by side are one");
}

#[test]
fn few_segments_must_be_given_as_items() {
    // Else the same bytes could have two ids: a short list stands in the entry.
    let mut builder = ContentBuilder::new();
    let hole = Page::Items(vec![Item::Hole { len: SEGMENT_BYTES }]);
    let page = PageRef { len: SEGMENT_BYTES, id: page_id(&hole).unwrap(), location: location(1, 0) };
    builder.push_page(page).unwrap();
    builder.finish();
    assert!(builder.next().is_err());
    let named = named("x", meshfs::model::entry::Content::File(Pages::default().build(&[Item::Hole { len: 1 << 20 }])));
    assert_eq!(named.entry.counts().bytes, 1 << 20);
}
