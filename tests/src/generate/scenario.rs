//! A configuration and what happens under it.

use std::{net::IpAddr, path::Path, sync::Arc};

use policy::config::{self, Config, Memory};
use proptest::{prelude::*, sample::Index};

use super::{
    bytes,
    frame::{Conversation, Frame, frame},
    place::{Targets, next},
    setup::{NOW, Setup},
};

/// Something that happens.
#[derive(arbitrary::Arbitrary, Clone, Debug)]
pub enum Event {
    /// A frame arrives.
    Frame(Frame),
    /// A frame arrives that belongs to the conversation of an earlier one.
    Answer {
        /// Which.
        #[arbitrary(with = bytes::index)]
        to: Index,
        /// What is different.
        twist: Twist,
        /// The frame; the conversation is not its own.
        frame: Frame,
    },
    /// So many seconds pass.
    Wait(#[arbitrary(with = bytes::seconds)] u64),
    /// A frame arrives twice, with a pause, and after a silence its answer.
    Silence {
        /// The frame.
        frame: Box<Frame>,
        /// So many seconds between its arrivals.
        #[arbitrary(with = bytes::seconds)]
        pause: u64,
        /// So many until the answer.
        #[arbitrary(with = bytes::seconds)]
        silence: u64,
        /// The answer; the conversation is not its own.
        answer: Box<Frame>,
    },
    /// Bytes arrive that may be anything: only a fuzzer has use for them.
    Bytes {
        /// Where.
        #[arbitrary(with = bytes::index)]
        interface: Index,
        /// These.
        #[arbitrary(with = bytes::verbatim)]
        bytes: Vec<u8>,
    },
}

/// What distinguishes a frame from the answer to an earlier one.
#[derive(arbitrary::Arbitrary, Clone, Copy, Debug)]
pub enum Twist {
    /// Nothing.
    None,
    /// It goes the same way again.
    Repeated,
    /// It comes from the neighbouring port.
    SourcePort,
    /// It is for the neighbouring port.
    DestinationPort,
    /// It comes from the neighbouring address.
    SourceAddress,
    /// It is for the neighbouring address.
    DestinationAddress,
    /// Another protocol.
    Protocol(#[arbitrary(with = bytes::protocol)] u8),
    /// The other version of IP, with addresses that begin with the same bits
    /// and have no others.
    Version,
}

impl Twist {
    fn of(self, earlier: &Conversation) -> Conversation {
        let mut answer = Conversation {
            source: earlier.destination,
            destination: earlier.source,
            protocol: earlier.protocol,
        };
        match self {
            Self::None => {}
            Self::Repeated => return *earlier,
            Self::SourcePort => answer.source.1 = answer.source.1.wrapping_add(1),
            Self::DestinationPort => answer.destination.1 = answer.destination.1.wrapping_add(1),
            Self::SourceAddress => answer.source.0 = next(answer.source.0, 1),
            Self::DestinationAddress => answer.destination.0 = next(answer.destination.0, 1),
            Self::Protocol(protocol) => answer.protocol = protocol,
            Self::Version => {
                for (address, _) in [&mut answer.source, &mut answer.destination] {
                    *address = other_version(*address);
                }
            }
        }
        answer
    }
}

fn other_version(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V6((u128::from(address.to_bits()) << 96).into()),
        IpAddr::V6(address) => IpAddr::V4(((address.to_bits() >> 96) as u32).into()),
    }
}

/// Seconds around the time within which a packet need not be noted again.
pub(super) const PAUSES: [u64; 5] = [0, 1, 15, 16, 17];

/// Seconds around every lifetime of a flow, with and without that much more.
pub(super) const SILENCES: [u64; 15] = [
    284, 299, 300, 301, 314, 315, 316, 317, 7_424, 7_439, 7_440, 7_441, 7_455, 7_456, 7_457,
];

/// Draws an event. The kernel's clock is not ours to set: there `may_wait` is
/// false.
pub fn event(may_wait: bool) -> impl Strategy<Value = Event> {
    let twist = prop_oneof![
        8 => Just(Twist::None),
        2 => Just(Twist::Repeated),
        1 => Just(Twist::SourcePort),
        1 => Just(Twist::DestinationPort),
        1 => Just(Twist::SourceAddress),
        1 => Just(Twist::DestinationAddress),
        1 => prop::sample::select(vec![6_u8, 17, 33, 132, 136]).prop_map(Twist::Protocol),
        1 => Just(Twist::Version),
    ];
    let answer = (any::<Index>(), twist, frame());
    let pause = || prop::sample::select(PAUSES.to_vec());
    let silence = || prop::sample::select(SILENCES.to_vec());
    let wait = prop_oneof![pause(), silence(), 0..8_000_u64];
    let boxed = || frame().prop_map(Box::new);
    let long = (boxed(), pause(), silence(), boxed());
    prop_oneof![
        70 => frame().prop_map(Event::Frame),
        25 => answer.prop_map(|(to, twist, frame)| Event::Answer { to, twist, frame }),
        if may_wait { 5 } else { 0 } => wait.prop_map(Event::Wait),
        if may_wait { 3 } else { 0 } => long.prop_map(|(frame, pause, silence, answer)| {
            Event::Silence { frame, pause, silence, answer }
        }),
    ]
}

/// What proptest drew, in text and bytes.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The configuration, as an operator writes it.
    pub text: String,
    /// And as the controller understands it.
    pub config: Config,
    /// What happens.
    pub steps: Vec<Step>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A frame arrives.
    Frame {
        /// Here.
        interface: String,
        /// This is it.
        bytes: Vec<u8>,
        /// So many bytes of it are in the first buffer, if there are several.
        /// Only the program in the kernel can tell.
        first: Option<usize>,
        /// What is remarkable about it.
        shapes: Vec<&'static str>,
    },
    /// So many seconds pass.
    Wait(u64),
}

/// How many conversations can still be answered.
const REMEMBERED: usize = 16;

impl Scenario {
    /// Writes everything down.
    pub fn new(setup: &Setup, events: &[Event]) -> Self {
        let text = setup.text();
        let config = load(&text);
        let targets = Targets::new(&config);
        let mut writer = Writer {
            targets,
            openings: Vec::new(),
            steps: Vec::new(),
        };
        for event in events {
            writer.event(event);
        }
        Self {
            text,
            config,
            steps: writer.steps,
        }
    }
}

/// Makes steps of events.
struct Writer {
    targets: Targets,
    /// Conversations that may have opened the way for an answer.
    openings: Vec<Conversation>,
    steps: Vec<Step>,
}

impl Writer {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Wait(seconds) => self.steps.push(Step::Wait(*seconds)),
            Event::Answer { to, twist, frame } if !self.openings.is_empty() => {
                let first = self.openings.len().saturating_sub(REMEMBERED);
                let earlier = to.get(&self.openings[first..]);
                self.frame(frame, twist.of(earlier));
            }
            Event::Frame(frame) | Event::Answer { frame, .. } => {
                self.frame(frame, frame.conversation(&self.targets));
            }
            Event::Bytes { interface, bytes } => self.steps.push(Step::Frame {
                interface: interface.get(&self.targets.interfaces).clone(),
                bytes: bytes.clone(),
                first: None,
                shapes: vec!["any bytes"],
            }),
            Event::Silence {
                frame,
                pause,
                silence,
                answer,
            } => {
                let conversation = frame.conversation(&self.targets);
                self.frame(frame, conversation);
                self.steps.push(Step::Wait(*pause));
                self.frame(frame, conversation);
                self.steps.push(Step::Wait(*silence));
                self.frame(answer, Twist::None.of(&conversation));
            }
        }
    }

    fn frame(&mut self, frame: &Frame, conversation: Conversation) {
        let interface = frame.interface(&self.targets).to_owned();
        if self.targets.opens(&interface, conversation.source.1) {
            self.openings.push(conversation);
        }
        let bytes = frame.bytes(&conversation);
        self.steps.push(Step::Frame {
            interface,
            first: frame.first_buffer(&bytes),
            bytes,
            shapes: frame.shapes(&conversation),
        });
    }
}

/// Reads a configuration, which has to be right.
pub fn load(text: &str) -> Config {
    let path = Path::new("poolguard.toml");
    let files = Memory::default().with(path, text);
    match config::load_from(&files, path, NOW.parse().unwrap()) {
        Ok(loaded) => Arc::unwrap_or_clone(loaded.config),
        Err(report) => panic!("a configuration that should be valid is not: {report:?}\n{text}"),
    }
}
