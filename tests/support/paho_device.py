"""A device played by paho-mqtt. Orders come as JSON lines on standard input, what it sees goes out as JSON lines.

Its CBOR and its Protobuf are made here by hand, from the specifications, so that they share nothing with the product.
"""
import json
import struct
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

port, device, key, version, transport = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5]
lock = threading.Lock()


def tell(kind, **more):
    with lock:
        print(json.dumps({"seen": kind, **more}), flush=True)


def value(code):
    return code.value if hasattr(code, "value") else int(code)


def cbor(item):
    """RFC 8949, with heads as short as they can be."""

    def head(major, number):
        for more, form in enumerate((">B", ">H", ">I", ">Q")):
            if number < 24:
                return bytes([major << 5 | number])
            if number < 1 << 8 * 2**more:
                return bytes([major << 5 | 24 + more]) + struct.pack(form, number)

    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if item is None:
        return b"\xf6"
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, float):
        return b"\xfb" + struct.pack(">d", item)
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    if isinstance(item, list):
        return head(4, len(item)) + b"".join(map(cbor, item))
    return head(5, len(item)) + b"".join(cbor(name) + cbor(member) for name, member in item.items())


def proto(records):
    """`twinfold.v1.TelemetryBatch`, of records with an envelope or without."""

    def varint(number):
        number &= 2**64 - 1
        out = b""
        while number > 0x7F:
            out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
        return out + bytes([number])

    def sized(field, data):
        return varint(field << 3 | 2) + varint(len(data)) + data

    def of_value(name, item):
        if isinstance(item, bool):
            kind = varint(4 << 3) + varint(item)
        elif isinstance(item, int):
            kind = varint(3 << 3) + varint(item)
        elif isinstance(item, float):
            kind = varint(2 << 3 | 1) + struct.pack("<d", item)
        else:
            kind = sized(5, item.encode())
        return sized(3, sized(1, name.encode()) + kind)

    def of_record(record):
        enveloped = "values" in record
        at = varint(1 << 3) + varint(record["at"]) if enveloped and "at" in record else b""
        name = sized(2, record["id"].encode()) if enveloped and "id" in record else b""
        values = record["values"] if enveloped else record
        return sized(1, at + name + b"".join(of_value(*each) for each in values.items()))

    return b"".join(map(of_record, records if isinstance(records, list) else [records]))


def payload(order):
    """The bytes to send: a text as it stands, `hex` as bytes, or a document in one of the encodings."""
    if "hex" in order:
        return bytes.fromhex(order["hex"])
    for name, encode in (("cbor", cbor), ("proto", proto), ("json", lambda item: json.dumps(item).encode())):
        if name in order:
            return encode(order[name])
    return order["payload"]


def properties(order):
    if "content_type" not in order:
        return None
    made = Properties(PacketTypes.PUBLISH)
    made.ContentType = order["content_type"]
    return made


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=device,
    protocol=mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311,
    transport=transport,
)
if transport == "websockets":
    client.ws_set_options(path="/mqtt")
client.username_pw_set(device, key)
client.on_connect = lambda c, u, flags, code, props: tell("connected", code=value(code), session_present=flags.session_present)
client.on_disconnect = lambda c, u, flags, code, props: tell("disconnected", code=value(code), by_server=flags.is_disconnect_packet_from_server)
client.on_publish = lambda c, u, mid, code, props: tell("acknowledged", mid=mid, code=value(code), reason=getattr(props, "ReasonString", ""))
client.on_subscribe = lambda c, u, mid, codes, props: tell("subscribed", codes=[value(x) for x in codes])


def on_message(_client, _user, message):
    tell("message", topic=message.topic, payload=message.payload.decode(), qos=message.qos)
    if "/commands/" in message.topic and answer:
        command = message.topic.rsplit("/", 1)[1]
        client.publish(f"devices/{device}/results/{command}", json.dumps(answer), qos=1)


client.on_message = on_message
answer = None
client.connect("127.0.0.1", port, keepalive=30)
client.loop_start()

for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "publish":
        client.publish(order["topic"], payload(order), qos=order.get("qos", 1), properties=properties(order))
    elif order["do"] == "subscribe":
        client.subscribe(order["topic"], qos=order.get("qos", 1))
    elif order["do"] == "answer":
        answer = order["with"]
    elif order["do"] == "leave":
        client.disconnect()
client.loop_stop()
