"""Contacts as an app that uses the Python SDK sees them."""

import unittest
import uuid

from msgraph.generated.models.contact import Contact
from msgraph.generated.models.contact_folder import ContactFolder
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.physical_address import PhysicalAddress
from msgraph.generated.users.item.contact_folders.item.contacts.contacts_request_builder import ContactsRequestBuilder

from server import SdkTest, configured


class Contacts(SdkTest):
    async def asyncSetUp(self):
        await super().asyncSetUp()
        folder = await self.client.me.contact_folders.post(ContactFolder(display_name="folder " + uuid.uuid4().hex))
        self.contacts = self.client.me.contact_folders.by_contact_folder_id(folder.id).contacts

    async def test_a_contact_is_written_read_and_changed(self):
        ada = Contact(
            given_name="Ada",
            surname="Lovelace",
            email_addresses=[EmailAddress(address="ada@fabrikam.test", name="Ada")],
            business_phones=["+44 1"],
            home_address=PhysicalAddress(city="London"),
        )
        made = await self.contacts.post(ada)
        self.assertEqual("Ada Lovelace", made.display_name)
        contact = self.client.me.contacts.by_contact_id(made.id)
        changed = await contact.patch(Contact(job_title="Countess"))
        self.assertEqual("Countess", changed.job_title)
        read = await contact.get()
        self.assertEqual("London", read.home_address.city)
        self.assertEqual(["+44 1"], read.business_phones)

    async def test_contacts_are_sorted_by_name_and_found_by_address(self):
        for name in ("Charles", "Ada", "Blaise"):
            address = EmailAddress(address=f"{name}@fabrikam.test".lower())
            await self.contacts.post(Contact(given_name=name, email_addresses=[address]))
        parameters = ContactsRequestBuilder.ContactsRequestBuilderGetQueryParameters
        sorted_ = await self.contacts.get(configured(parameters(orderby=["displayName"], top=2)))
        self.assertEqual(["Ada", "Blaise"], [contact.display_name for contact in sorted_.value])
        by_address = parameters(filter="emailAddresses/any(a:a/address eq 'blaise@fabrikam.test')")
        found = await self.contacts.get(configured(by_address))
        self.assertEqual(["Blaise"], [contact.display_name for contact in found.value])

    async def test_a_delta_tells_of_a_new_contact(self):
        page = await self.contacts.delta.get()
        while page.odata_next_link:
            page = await self.contacts.delta.with_url(page.odata_next_link).get()
        made = await self.contacts.post(Contact(given_name="New"))
        changes = await self.contacts.delta.with_url(page.odata_delta_link).get()
        self.assertEqual([made.id], [contact.id for contact in changes.value])


if __name__ == "__main__":
    unittest.main()
