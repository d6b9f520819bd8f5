"""Mail as an app that uses the Python SDK sees it."""

import base64
import unittest
import uuid

from kiota_abstractions.api_error import APIError
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.file_attachment import FileAttachment
from msgraph.generated.models.importance import Importance
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.mail_folder import MailFolder
from msgraph.generated.models.message import Message
from msgraph.generated.models.message_collection_response import MessageCollectionResponse
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.users.item.mail_folders.mail_folders_request_builder import MailFoldersRequestBuilder
from msgraph.generated.users.item.messages.item.create_reply.create_reply_post_request_body import (
    CreateReplyPostRequestBody,
)
from msgraph.generated.users.item.messages.item.move.move_post_request_body import MovePostRequestBody
from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import SendMailPostRequestBody
from msgraph_core.tasks.page_iterator import PageIterator

from server import READY, SdkTest, configured


def draft(subject, **properties):
    body = ItemBody(content_type=BodyType.Html, content="<p>Hello <b>there</b></p>")
    return Message(subject=subject, body=body, **properties)


def recipient(address):
    return Recipient(email_address=EmailAddress(address=address))


class Mail(SdkTest):
    async def test_a_draft_is_written_read_changed_and_deleted(self):
        made = await self.client.me.messages.post(draft("draft", importance=Importance.High))
        self.assertTrue(made.is_draft)
        self.assertEqual(Importance.High, made.importance)
        self.assertEqual("Hello there", made.body_preview.strip())
        changed = await self.client.me.messages.by_message_id(made.id).patch(Message(subject="changed"))
        self.assertEqual("changed", changed.subject)
        self.assertNotEqual(made.change_key, changed.change_key)
        read = await self.client.me.messages.by_message_id(made.id).get()
        self.assertEqual(BodyType.Html, read.body.content_type)
        await self.client.me.messages.by_message_id(made.id).delete()
        with self.assertRaises(ODataError) as gone:
            await self.client.me.messages.by_message_id(made.id).get()
        self.assertEqual(404, gone.exception.response_status_code)

    async def test_a_list_is_filtered_sorted_and_counted(self):
        mark = uuid.uuid4().hex
        for number in range(3):
            await self.client.me.messages.post(draft(f"{mark} {number}"))
        query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(
            filter=f"startswith(subject,'{mark}')", orderby=["subject desc"], select=["subject"], count=True, top=2
        )
        page = await self.client.me.messages.get(configured(query))
        self.assertEqual([f"{mark} 2", f"{mark} 1"], [message.subject for message in page.value])
        self.assertEqual(3, page.odata_count)
        self.assertIsNone(page.value[0].body)
        self.assertTrue(page.odata_next_link.startswith(READY["https"][0]), page.odata_next_link)

    async def test_a_page_iterator_sees_every_message_once(self):
        mark = uuid.uuid4().hex
        for number in range(7):
            await self.client.me.messages.post(draft(f"{mark} {number}"))
        query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(
            filter=f"startswith(subject,'{mark}')", top=3
        )
        first = await self.client.me.messages.get(configured(query))
        self.assertIsInstance(first, MessageCollectionResponse)
        seen = []

        def keep(message):
            seen.append(message.id)
            return True

        await PageIterator(first, self.adapter).iterate(keep)
        self.assertEqual((7, 7), (len(seen), len(set(seen))))

    async def test_a_search_finds_what_a_message_says(self):
        mark = "word" + uuid.uuid4().hex
        await self.client.me.messages.post(draft(f"about {mark}"))
        query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(search=f'"subject:{mark}"')
        found = await self.client.me.messages.get(configured(query))
        self.assertEqual([f"about {mark}"], [message.subject for message in found.value])

    async def test_folders_are_made_listed_by_name_and_moved_into(self):
        name = "folder " + uuid.uuid4().hex
        folder = await self.client.me.mail_folders.post(MailFolder(display_name=name))
        query = MailFoldersRequestBuilder.MailFoldersRequestBuilderGetQueryParameters(top=100)
        names = [folder.display_name for folder in (await self.client.me.mail_folders.get(configured(query))).value]
        for known in ["Inbox", "Sent Items", "Drafts", "Deleted Items", name]:
            self.assertIn(known, names)
        message = await self.client.me.messages.post(draft("to be moved"))
        destination = MovePostRequestBody(destination_id=folder.id)
        moved = await self.client.me.messages.by_message_id(message.id).move.post(destination)
        self.assertEqual(folder.id, moved.parent_folder_id)
        self.assertNotEqual(message.id, moved.id)
        inside = await self.client.me.mail_folders.by_mail_folder_id(folder.id).messages.get()
        self.assertEqual([moved.id], [message.id for message in inside.value])
        await self.client.me.mail_folders.by_mail_folder_id(folder.id).delete()

    async def test_an_immutable_id_stays_when_the_message_moves(self):
        immutable = configured(headers={"Prefer": 'IdType="ImmutableId"'})
        made = await self.client.me.messages.post(draft("stays"), immutable)
        destination = MovePostRequestBody(destination_id="archive")
        moved = await self.client.me.messages.by_message_id(made.id).move.post(destination, immutable)
        self.assertEqual(made.id, moved.id)
        read = await self.client.me.messages.by_message_id(made.id).get(immutable)
        self.assertEqual("stays", read.subject)

    async def test_a_message_is_sent_and_kept(self):
        subject = "sent " + uuid.uuid4().hex
        message = draft(subject, to_recipients=[recipient("megan@contoso.test")])
        await self.client.me.send_mail.post(SendMailPostRequestBody(message=message, save_to_sent_items=True))
        query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(filter=f"subject eq '{subject}'")
        sent = await self.client.me.mail_folders.by_mail_folder_id("sentitems").messages.get(configured(query))
        self.assertEqual([subject], [message.subject for message in sent.value])
        self.assertFalse(sent.value[0].is_draft)

    async def test_a_reply_quotes_the_message_and_goes_to_its_sender(self):
        message = await self.client.me.messages.post(draft("question", to_recipients=[recipient("alex@contoso.test")]))
        reply = await self.client.me.messages.by_message_id(message.id).create_reply.post(CreateReplyPostRequestBody())
        self.assertTrue(reply.is_draft)
        self.assertTrue(reply.subject.lower().startswith("re: question"), reply.subject)
        self.assertEqual(message.conversation_id, reply.conversation_id)

    async def test_an_attachment_is_kept_whole(self):
        message = await self.client.me.messages.post(draft("with a file"))
        content = bytes(range(256)) * 40
        # The SDK wants the content in base64 already.
        file = FileAttachment(
            odata_type="#microsoft.graph.fileAttachment",
            name="bytes.bin",
            content_type="application/octet-stream",
            content_bytes=base64.b64encode(content),
        )
        attachments = self.client.me.messages.by_message_id(message.id).attachments
        made = await attachments.post(file)
        self.assertIsInstance(made, FileAttachment)
        listed = await attachments.get()
        self.assertEqual(["bytes.bin"], [attachment.name for attachment in listed.value])
        read = await attachments.by_attachment_id(made.id).get()
        self.assertEqual(content, base64.b64decode(read.content_bytes))
        self.assertTrue((await self.client.me.messages.by_message_id(message.id).get()).has_attachments)

    async def test_the_message_as_mime_is_mail(self):
        message = await self.client.me.messages.post(
            draft("as mime", to_recipients=[recipient("alex@contoso.test")])
        )
        mime = await self.client.me.messages.by_message_id(message.id).content.get()
        self.assertIn(b"Subject: as mime", mime)

    async def test_a_refusal_is_a_typed_error(self):
        with self.assertRaises(ODataError) as refused:
            await self.client.me.messages.by_message_id("nonsense").get()
        error = refused.exception
        self.assertIsInstance(error, APIError)
        self.assertEqual(400, error.response_status_code)
        self.assertEqual("ErrorInvalidIdMalformed", error.error.code)
        self.assertEqual("Id is malformed.", error.error.message)
        self.assertTrue(uuid.UUID(error.error.inner_error.request_id))
        query = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(filter="nonsense eq 1")
        with self.assertRaises(ODataError) as refused:
            await self.client.me.messages.get(configured(query))
        self.assertEqual(400, refused.exception.response_status_code)

    async def test_a_delta_tells_of_what_came_and_went(self):
        folder = await self.client.me.mail_folders.post(MailFolder(display_name="delta " + uuid.uuid4().hex))
        messages = self.client.me.mail_folders.by_mail_folder_id(folder.id).messages
        first = await messages.post(draft("first"))
        page = await messages.delta.get()
        while page.odata_next_link:
            page = await messages.delta.with_url(page.odata_next_link).get()
        second = await messages.post(draft("second"))
        await self.client.me.messages.by_message_id(first.id).delete()
        changes = await messages.delta.with_url(page.odata_delta_link).get()
        told = {change.id: change.additional_data.get("@removed") for change in changes.value}
        self.assertEqual({first.id, second.id}, set(told))
        self.assertIsNone(told[second.id])
        self.assertIsNotNone(told[first.id])


if __name__ == "__main__":
    unittest.main()
