"""Partner topics with Microsoft's clients for Azure Event Grid: managed over HTTPS with a token, pulled with a key."""

import io
import json
import time
import unittest
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit
from uuid import uuid4

import requests
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.messaging import CloudEvent
from azure.core.rest import HttpRequest
from azure.eventgrid import EventGridConsumerClient, EventGridPublisherClient
from azure.identity import ClientSecretCredential
from azure.mgmt.eventgrid import EventGridManagementClient
from azure.mgmt.eventgrid.models import (
    DynamicDeliveryAttributeMapping,
    EventSubscription,
    EventSubscriptionFilter,
    EventSubscriptionUpdateParameters,
    NamespaceTopicEventSubscriptionDestination,
    PartnerTopic,
    PartnerTopicUpdateParameters,
    RetryPolicy,
    StaticDeliveryAttributeMapping,
    StringInAdvancedFilter,
    WebHookEventSubscriptionDestination,
)

from hook import Hook
from identity import APP, BASE, MEGAN, SECRET, TENANT
from ready import READY

AZURE, GROUP = "8d4f6d16-47a1-4b9c-9b4f-0c7e4fbd5d3a", "tests"
MANAGEMENT = "https://management.azure.com/.default"


def credential():
    return ClientSecretCredential(TENANT, APP, SECRET, authority=BASE, disable_instance_discovery=True)


def management():
    """The client as it is, but for the address of what it manages."""
    return EventGridManagementClient(credential(), AZURE, base_url=BASE, credential_scopes=[MANAGEMENT])


class Topics(unittest.TestCase):
    """Each test has a topic of its own, which is activated."""

    def setUp(self):
        self.azure = management()
        self.addCleanup(self.azure.close)
        self.topic = f"sdk-{uuid4().hex[:20]}"
        self.azure.partner_topics.create_or_update(GROUP, self.topic, PartnerTopic(location="westeurope"))
        self.addCleanup(lambda: self.azure.partner_topics.begin_delete(GROUP, self.topic).result())
        self.path = self.azure.partner_topics.activate(GROUP, self.topic).id
        self.key = self.keys()["key1"]

    def keys(self):
        # Azure has no such operation on partner topics, whose events it does not let pull; topics of namespaces do.
        url = f"{BASE}{self.path}/listKeys?api-version=2025-02-15"
        answer = self.azure._client.send_request(HttpRequest("POST", url))
        answer.raise_for_status()
        return answer.json()

    def subscribe(self, name, **more):
        own = NamespaceTopicEventSubscriptionDestination(resource_id=self.path)
        wanted = EventSubscription(destination=own, **more)
        subscriptions = self.azure.partner_topic_event_subscriptions
        return subscriptions.begin_create_or_update(GROUP, self.topic, name, wanted).result()

    def publisher(self, base=BASE, credential=None):
        credential = credential or AzureKeyCredential(self.key)
        return EventGridPublisherClient(base, credential, namespace_topic=self.topic)

    def consumer(self, name="worker", base=BASE, credential=None):
        credential = credential or AzureKeyCredential(self.key)
        return EventGridConsumerClient(base, credential, namespace_topic=self.topic, subscription=name)


def event(number):
    return CloudEvent(source="/sdk", type="Sdk.Told", data={"number": number}, subject=f"s/{number}")


def tokens(received):
    return [one.broker_properties.lock_token for one in received]


def numbers(received):
    return [one.event.data["number"] for one in received]


class Management(Topics):
    def test_a_topic_is_activated_read_listed_and_deactivated(self):
        topic = self.azure.partner_topics.get(GROUP, self.topic)
        self.assertEqual(("Activated", "Succeeded"), (topic.activation_state, topic.provisioning_state))
        self.assertIn("Microsoft.Graph.MessageCreated", topic.event_type_info.inline_event_types)
        self.assertEqual(f"/tenants/{TENANT}/applications/{APP}", topic.source)
        listed = [one.name for one in self.azure.partner_topics.list_by_resource_group(GROUP)]
        self.assertIn(self.topic, listed)
        self.assertIn(self.topic, [one.name for one in self.azure.partner_topics.list_by_subscription()])
        self.assertEqual("Deactivated", self.azure.partner_topics.deactivate(GROUP, self.topic).activation_state)

    def test_a_topic_is_tagged_by_put_and_by_patch(self):
        topics = self.azure.partner_topics
        tagged = topics.create_or_update(GROUP, self.topic, PartnerTopic(location="westeurope", tags={"team": "mail"}))
        self.assertEqual({"team": "mail"}, tagged.tags)
        topics.update(GROUP, self.topic, PartnerTopicUpdateParameters(tags={"stage": "live"}))
        self.assertEqual({"stage": "live"}, topics.get(GROUP, self.topic).tags)
        with self.assertRaisesRegex(HttpResponseError, "50 tags at most"):
            topics.update(GROUP, self.topic, PartnerTopicUpdateParameters(tags={str(n): "x" for n in range(51)}))

    def test_an_event_subscription_is_made_read_changed_listed_and_deleted(self):
        subscriptions = self.azure.partner_topic_event_subscriptions
        only = StringInAdvancedFilter(key="data.number", values=["1"])
        made = self.subscribe("typed", filter=EventSubscriptionFilter(advanced_filters=[only]), labels=["a"])
        self.assertEqual(("Succeeded", self.path), (made.provisioning_state, made.topic))
        self.assertEqual(self.path, made.destination.resource_id)
        changed = EventSubscriptionUpdateParameters(labels=["b"])
        subscriptions.begin_update(GROUP, self.topic, "typed", changed).result()
        read = subscriptions.get(GROUP, self.topic, "typed")
        self.assertEqual((["b"], ["1"]), (read.labels, read.filter.advanced_filters[0].values))
        self.assertEqual(["typed"], [one.name for one in subscriptions.list_by_partner_topic(GROUP, self.topic)])
        self.assertEqual([], subscriptions.get_delivery_attributes(GROUP, self.topic, "typed").value or [])
        with self.assertRaisesRegex(HttpResponseError, "are pulled"):
            subscriptions.get_full_url(GROUP, self.topic, "typed")
        subscriptions.begin_delete(GROUP, self.topic, "typed").result()
        with self.assertRaises(ResourceNotFoundError):
            subscriptions.get(GROUP, self.topic, "typed")

    def test_a_queue_is_described_as_namespaces_have_it(self):
        queue = {"receiveLockDurationInSeconds": 120, "maxDeliveryCount": 2, "eventTimeToLive": "PT1H"}
        body = {"properties": {"deliveryConfiguration": {"deliveryMode": "Queue", "queue": queue}}}
        subscriptions = self.azure.partner_topic_event_subscriptions
        sent = io.BytesIO(json.dumps(body).encode())
        made = subscriptions.begin_create_or_update(GROUP, self.topic, "queue", sent).result()
        self.assertEqual("Succeeded", made.provisioning_state)

    def test_a_webhook_is_asked_then_made_read_changed_and_deleted(self):
        hook = Hook()
        self.addCleanup(hook.close)
        subscriptions = self.azure.partner_topic_event_subscriptions
        secret = StaticDeliveryAttributeMapping(name="X-Secret", value="t0p", is_secret=True)
        told = DynamicDeliveryAttributeMapping(name="X-Change", source_field="data.changeType")
        wanted = EventSubscription(
            destination=WebHookEventSubscriptionDestination(
                endpoint_url=f"{hook.url}?code=s3cret", delivery_attribute_mappings=[secret, told]
            ),
            retry_policy=RetryPolicy(max_delivery_attempts=5),
            event_delivery_schema="CloudEventSchemaV1_0",
        )
        made = subscriptions.begin_create_or_update(GROUP, self.topic, "hook", wanted).result()
        self.assertEqual(("Succeeded", hook.url), (made.provisioning_state, made.destination.endpoint_base_url))
        [asked] = hook.asked
        self.assertEqual(("eventgrid.azure.net", "120"), (asked["Webhook-Request-Origin"], asked["Webhook-Request-Rate"]))
        read = subscriptions.get(GROUP, self.topic, "hook")
        self.assertIsNone(read.destination.endpoint_url)
        self.assertEqual(1, read.destination.max_events_per_batch)
        full = subscriptions.get_full_url(GROUP, self.topic, "hook")
        self.assertEqual(f"{hook.url}?code=s3cret", full.endpoint_url)
        attributes = subscriptions.get_delivery_attributes(GROUP, self.topic, "hook").value
        self.assertEqual([("X-Secret", None), ("X-Change", "data.changeType")], [
            (attributes[0].name, attributes[0].value),
            (attributes[1].name, attributes[1].source_field),
        ])
        changed = EventSubscriptionUpdateParameters(retry_policy=RetryPolicy(max_delivery_attempts=3))
        changed = subscriptions.begin_update(GROUP, self.topic, "hook", changed).result()
        self.assertEqual(3, changed.retry_policy.max_delivery_attempts)
        self.assertEqual(2, len(changed.destination.delivery_attribute_mappings))
        self.assertEqual(1, len(hook.asked))
        subscriptions.begin_delete(GROUP, self.topic, "hook").result()
        with self.assertRaises(ResourceNotFoundError):
            subscriptions.get(GROUP, self.topic, "hook")

    def test_an_endpoint_that_says_nothing_consents_while_the_client_polls(self):
        hook = Hook(allows=False)
        self.addCleanup(hook.close)
        subscriptions = self.azure.partner_topic_event_subscriptions
        wanted = EventSubscription(destination=WebHookEventSubscriptionDestination(endpoint_url=hook.url))
        poller = subscriptions.begin_create_or_update(GROUP, self.topic, "hook", wanted, polling_interval=1)
        self.assertEqual("AwaitingManualAction", subscriptions.get(GROUP, self.topic, "hook").provisioning_state)
        requests.get(hook.asked[0]["Webhook-Request-Callback"]).raise_for_status()
        self.assertEqual("Succeeded", poller.result(60).provisioning_state)

    def test_an_endpoint_that_does_not_answer_is_refused_with_what_is_wrong(self):
        wanted = EventSubscription(destination=WebHookEventSubscriptionDestination(endpoint_url="http://127.0.0.1:9/"))
        with self.assertRaisesRegex(HttpResponseError, "could not be connected to"):
            self.azure.partner_topic_event_subscriptions.begin_create_or_update(GROUP, self.topic, "hook", wanted)

    def test_graph_is_an_authorized_partner(self):
        configuration = self.azure.partner_configurations.get(GROUP)
        [partner] = configuration.partner_authorization.authorized_partners_list
        self.assertEqual("MicrosoftGraphAPI", partner.partner_name)
        self.azure.partner_configurations.authorize_partner(GROUP, partner)


class Pull(Topics):
    def setUp(self):
        super().setUp()
        self.subscribe("worker")

    def test_events_are_received_acknowledged_released_rejected_and_renewed(self):
        with self.publisher() as publisher, self.consumer() as consumer:
            publisher.send([event(number) for number in range(4)])
            received = consumer.receive(max_events=10, max_wait_time=10)
            self.assertEqual([0, 1, 2, 3], numbers(received))
            self.assertEqual({1}, {one.broker_properties.delivery_count for one in received})
            first, second, third, fourth = tokens(received)
            done = consumer.acknowledge(lock_tokens=[first])
            self.assertEqual(([first], []), (done.succeeded_lock_tokens, done.failed_lock_tokens))
            self.assertEqual([second], consumer.renew_locks(lock_tokens=[second]).succeeded_lock_tokens)
            self.assertEqual([third], consumer.reject(lock_tokens=[third]).succeeded_lock_tokens)
            self.assertEqual([fourth], consumer.release(lock_tokens=[fourth]).succeeded_lock_tokens)
            [again] = consumer.receive(max_events=10, max_wait_time=10)
            self.assertEqual((3, 2), (again.event.data["number"], again.broker_properties.delivery_count))
            failed = consumer.acknowledge(lock_tokens=[first, "forged"]).failed_lock_tokens
            self.assertEqual(["TokenLost", "BadToken"], [one.error.code for one in failed])

    def test_whoever_waits_gets_nothing_in_time_and_the_client_takes_it(self):
        started = time.monotonic()
        with self.consumer() as consumer:
            self.assertEqual([], consumer.receive(max_events=1, max_wait_time=10))
        self.assertGreaterEqual(time.monotonic() - started, 9)

    def test_a_key_is_enough_over_http_and_a_token_does_over_https(self):
        http = READY["http"][0]
        with self.publisher(http) as publisher, self.consumer(base=http) as consumer:
            publisher.send(event(1))
            self.assertEqual([1], numbers(consumer.receive(max_events=1, max_wait_time=10)))
        with self.publisher(credential=credential()) as publisher, self.consumer(credential=credential()) as consumer:
            publisher.send(event(2))
            self.assertEqual([2], numbers(consumer.receive(max_events=1, max_wait_time=10)))

    def test_a_wrong_key_is_refused(self):
        with self.consumer(credential=AzureKeyCredential("AAAA")) as consumer:
            with self.assertRaises(HttpResponseError) as refused:
                consumer.receive(max_events=1, max_wait_time=10)
        self.assertEqual((401, "Unauthorized"), (refused.exception.status_code, refused.exception.error.code))


class Graph(unittest.TestCase):
    """A subscription of Graph's that is told through a topic."""

    def test_a_change_of_a_mailbox_is_pulled_and_its_resource_answers(self):
        topic, azure = f"graph-{uuid4().hex[:20]}", management()
        self.addCleanup(azure.close)
        url = f"EventGrid:?azuresubscriptionid={AZURE}&resourcegroup={GROUP}&partnertopic={topic}&location=westeurope"
        token = credential().get_token("https://graph.microsoft.com/.default").token
        headers = {"Authorization": f"Bearer {token}"}

        def post(path, body):
            answer = requests.post(f"{BASE}/v1.0{path}", json=body, headers=headers)
            self.assertEqual(201, answer.status_code, answer.text)
            return answer.json()

        expires = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat()
        subscription = post("/subscriptions", {
            "changeType": "created",
            "resource": f"users/{MEGAN['id']}/messages",
            "notificationUrl": url,
            "lifecycleNotificationUrl": url,
            "clientState": "s3cret",
            "expirationDateTime": expires,
        })
        self.addCleanup(lambda: azure.partner_topics.begin_delete(GROUP, topic).result())
        path = azure.partner_topics.activate(GROUP, topic).id
        own = NamespaceTopicEventSubscriptionDestination(resource_id=path)
        subscriptions = azure.partner_topic_event_subscriptions
        subscriptions.begin_create_or_update(GROUP, topic, "worker", EventSubscription(destination=own)).result()
        message = post(f"/users/{MEGAN['id']}/messages", {"subject": "hello"})
        with EventGridConsumerClient(BASE, credential(), namespace_topic=topic, subscription="worker") as consumer:
            [received] = consumer.receive(max_events=1, max_wait_time=60)
            consumer.acknowledge(lock_tokens=[received.broker_properties.lock_token])
        event = received.event
        self.assertEqual("Microsoft.Graph.MessageCreated", event.type)
        self.assertEqual(f"/tenants/{TENANT}/applications/{APP}", event.source)
        self.assertEqual((subscription["id"], "s3cret"), (event.data["subscriptionId"], event.data["clientState"]))
        read = requests.get(BASE + urlsplit(event.data["resource"]).path, headers=headers)
        self.assertEqual((200, message["id"]), (read.status_code, read.json()["id"]))
        requests.delete(f"{BASE}/v1.0/subscriptions/{subscription['id']}", headers=headers).raise_for_status()
