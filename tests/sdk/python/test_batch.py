"""Batches as an app that uses the Python SDK sends them. This version of it drops bodies that are JSON objects,
so only the statuses are looked at; the JavaScript suite reads bodies."""

import unittest

from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

from server import SdkTest


class Batches(SdkTest):
    async def test_each_request_of_a_batch_has_its_answer(self):
        inbox = self.client.me.mail_folders.by_mail_folder_id("inbox").to_get_request_information()
        me = self.client.me.to_get_request_information()
        lost = self.client.me.messages.by_message_id("nonsense").to_get_request_information()
        for request in (inbox, me, lost):
            request.path_parameters["baseurl"] = self.adapter.base_url
        items = [BatchRequestItem(request, id) for id, request in (("1", inbox), ("2", me), ("3", lost))]
        content = BatchRequestContent({item.id: item for item in items})
        answers = await BatchRequestBuilder(self.adapter).post(content)
        self.assertEqual({"1": 200, "2": 200, "3": 400}, answers.get_response_status_codes())


if __name__ == "__main__":
    unittest.main()
