//! Messages of chats that no one wrote: notices of who came and went, messages of programs, and facts about a channel.

use crate::formats::record::normal;
use crate::formats::tree::Node;

/// Values of `type`, normalised, by which exports name their notices (DiscordChatExporter, `MessageKind`).
const KINDS: [&str; 7] = [
    "guildmemberjoin",
    "recipientadd",
    "recipientremove",
    "channelnamechange",
    "channeliconchange",
    "channelpinnedmessage",
    "threadcreated",
];
/// Beginnings of values of `subtype`, by which Slack names its notices (Slack API, "Message events").
const SUBTYPES: [&str; 8] =
    ["channel_", "group_", "bot_", "reminder_", "huddle_", "pinned_item", "tombstone", "message_deleted"];

/// Returns whether a map is a notice, the message of a program, or a chat's facts about a channel.
pub(super) fn is_notice(node: Node<'_, '_>) -> bool {
    let scalar = |key: &str| node.first(&[key]).map(Node::scalar);
    let is_kind = || scalar("type").is_some_and(|kind| KINDS.contains(&&*normal(kind)));
    let is_service = || scalar("type") == Some("service") && scalar("action").is_some();
    let is_subtype =
        || scalar("subtype").is_some_and(|kind| SUBTYPES.iter().any(|start| kind.starts_with(start)));
    let is_program = || {
        let author = node.first(&["author"]).and_then(|author| author.first(&["isbot", "bot"]));
        author.is_some_and(|value| value.scalar() == "true")
    };
    let is_flat = || node.entries().all(|(_, node)| !node.is_nested());
    let is_channel =
        || scalar("topic").is_some() && node.first(&["categoryid", "category"]).is_some() && is_flat();
    is_subtype() || is_kind() || is_service() || is_program() || is_channel()
}
