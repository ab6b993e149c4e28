import django
from check import KEY, PASSWORD, SECRET, SECURITY_TOKEN, USER, works
from django.conf import settings

salesforce = {"ENGINE": "salesforce.backend", "CONSUMER_KEY": KEY, "CONSUMER_SECRET": SECRET, "USER": USER}
salesforce |= {"PASSWORD": PASSWORD + SECURITY_TOKEN, "HOST": "https://login.salesforce.com"}
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}, "salesforce": salesforce},
    DATABASE_ROUTERS=["salesforce.router.ModelRouter"],
    INSTALLED_APPS=["salesforce"],
    SALESFORCE_DB_ALIAS="salesforce",
    SALESFORCE_QUERY_TIMEOUT=(10, 30),
)
django.setup()

from salesforce import models  # noqa: E402


class Lead(models.SalesforceModel):
    last_name = models.CharField(db_column="LastName", max_length=80)
    company = models.CharField(max_length=255)
    email = models.EmailField(null=True)
    is_converted = models.BooleanField(db_column="IsConverted", sf_read_only=models.READ_ONLY)

    class Meta(models.SalesforceModel.Meta):
        db_table = "Lead"
        app_label = "check"


with works("login by OAuth and a create"):
    lead = Lead.objects.create(last_name="Byron", company="Engines", email="a@example.com")
with works("filters, order, count"):
    assert Lead.objects.filter(email__iexact="A@example.com", is_converted=False).order_by("last_name").count() == 1
with works("update and delete"):
    lead.company = "Sums"
    lead.save()
    assert Lead.objects.get(pk=lead.pk).company == "Sums"
    lead.delete()
    assert not Lead.objects.filter(pk=lead.pk).exists()
with works("creates in bulk"):
    Lead.objects.bulk_create([Lead(last_name=str(number), company="E") for number in range(150)])
    assert Lead.objects.filter(company="E").count() == 150
