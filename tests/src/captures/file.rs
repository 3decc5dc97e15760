//! Capture files: pcap and pcapng, as pcap-parser reads them.

use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, create_reader, traits::PcapNGPacketBlock as _,
};

/// What is in a capture file.
#[derive(Debug, Default)]
pub struct Contents {
    /// The packets, each as it was captured and with its link type.
    pub packets: Vec<(Linktype, Vec<u8>)>,
    /// What could not be read, and why. Captures that were made to break other
    /// programs are broken themselves.
    pub unread: Vec<String>,
    /// The link types of the interfaces of the current section.
    interfaces: Vec<Linktype>,
}

/// The block of old pcapng files that a packet may be in.
const OBSOLETE_PACKET: u32 = 2;

/// Reads as much of a file as can be read.
pub fn read(file: &[u8]) -> Contents {
    let mut contents = Contents::default();
    if let Err(error) = contents.blocks(file) {
        contents.unread.push(error);
    }
    contents
}

impl Contents {
    fn blocks(&mut self, file: &[u8]) -> Result<(), String> {
        // The whole file fits, so every block does.
        let mut reader = create_reader(file.len() + 1, file).map_err(words)?;
        loop {
            match reader.next() {
                Ok((length, block)) => {
                    self.block(block);
                    reader.consume(length);
                }
                Err(PcapError::Eof) => return Ok(()),
                Err(PcapError::Incomplete(_)) => reader.refill().map_err(words)?,
                Err(error) => return Err(words(error)),
            }
        }
    }

    fn block(&mut self, block: PcapBlockOwned<'_>) {
        match block {
            // The upper bits say how long a frame check sequence is.
            PcapBlockOwned::LegacyHeader(header) => {
                self.interfaces = vec![Linktype(header.network.0 & 0xffff)];
            }
            PcapBlockOwned::Legacy(packet) => self.packet(0, packet.data),
            PcapBlockOwned::NG(Block::SectionHeader(_)) => self.interfaces.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                self.interfaces.push(interface.linktype);
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                self.packet(packet.if_id as usize, packet.packet_data());
            }
            PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
                self.packet(0, packet.packet_data());
            }
            PcapBlockOwned::NG(Block::Unknown(block)) if block.block_type == OBSOLETE_PACKET => {
                self.unread.push("an obsolete packet block".to_owned());
            }
            // Names, statistics, secrets: no packets.
            PcapBlockOwned::NG(_) => {}
        }
    }

    fn packet(&mut self, interface: usize, bytes: &[u8]) {
        match self.interfaces.get(interface) {
            Some(link) => self.packets.push((*link, bytes.to_vec())),
            None => self.unread.push("a packet of no interface".to_owned()),
        }
    }
}

/// Without the bytes that it happened at.
fn words<I>(error: PcapError<I>) -> String {
    match error {
        PcapError::HeaderNotRecognized => "no capture file".to_owned(),
        PcapError::Eof => "an empty file".to_owned(),
        PcapError::UnexpectedEof | PcapError::Incomplete(_) => "a cut end".to_owned(),
        PcapError::BufferTooSmall => "a block longer than the file".to_owned(),
        PcapError::ReadError => "a file that cannot be read".to_owned(),
        PcapError::NomError(_, kind) | PcapError::OwnedNomError(_, kind) => {
            format!("a block that is none ({kind:?})")
        }
    }
}
