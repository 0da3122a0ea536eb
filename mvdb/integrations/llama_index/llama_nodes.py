"""Nodes of LlamaIndex as texts with metadata, and back.

Metadata of a stored node: that of the node, for filters; `doc_id`, `document_id` and `ref_doc_id`
(the document that it comes from); and under KEY the rest of the node. mvdb does not index fields
whose name begins with `$`.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

import mvdb
from mvdb.errors import CorruptionError

KEY = "$llama_index"
REFERENCES = ("doc_id", "document_id", "ref_doc_id")
_PARTS = ("_node_content", "_node_type")


def text_of(node: BaseNode) -> str:
    """What is stored and encoded: the text without metadata."""
    return str(node.get_content(metadata_mode=MetadataMode.NONE))


def metadata_of(node: BaseNode) -> dict[str, Any]:
    """The metadata to store."""
    metadata: dict[str, Any] = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
    metadata[KEY] = {part: metadata.pop(part) for part in _PARTS}
    return metadata


def node_of(found: mvdb.Document | mvdb.Hit) -> BaseNode:
    """The node that was stored, with the metadata as it is now; a text node of a document that
    something else has written. CorruptionError when the rest of the node is not readable."""
    metadata, text = dict(found.metadata or {}), found.text or ""
    rest = metadata.pop(KEY, None)
    if rest is None:
        return TextNode(id_=str(found.id), text=text, metadata=metadata)
    try:
        node: BaseNode = metadata_dict_to_node(rest, text=text)
    except Exception as error:
        raise CorruptionError(f"id {found.id!r}: no node can be made of {KEY}: {error}") from error
    own = {name: value for name, value in node.metadata.items() if name in REFERENCES}
    others = {name: value for name, value in metadata.items() if name not in REFERENCES}
    node.metadata = {**others, **own}
    return node
