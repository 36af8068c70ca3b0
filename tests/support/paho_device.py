"""A device played by paho-mqtt. Orders come as JSON lines on standard input, what it sees goes out as JSON lines."""
import json
import sys
import threading

import paho.mqtt.client as mqtt

port, device, key, version = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
lock = threading.Lock()


def tell(kind, **more):
    with lock:
        print(json.dumps({"seen": kind, **more}), flush=True)


def value(code):
    return code.value if hasattr(code, "value") else int(code)


client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2,
    client_id=device,
    protocol=mqtt.MQTTv5 if version == "5" else mqtt.MQTTv311,
)
client.username_pw_set(device, key)
client.on_connect = lambda c, u, flags, code, props: tell("connected", code=value(code), session_present=flags.session_present)
client.on_disconnect = lambda c, u, flags, code, props: tell("disconnected", code=value(code))
client.on_publish = lambda c, u, mid, code, props: tell("acknowledged", mid=mid, code=value(code))
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
        client.publish(order["topic"], order["payload"], qos=order.get("qos", 1))
    elif order["do"] == "subscribe":
        client.subscribe(order["topic"], qos=order.get("qos", 1))
    elif order["do"] == "answer":
        answer = order["with"]
    elif order["do"] == "leave":
        client.disconnect()
client.loop_stop()
